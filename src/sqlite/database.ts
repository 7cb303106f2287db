/** Databases within a run: what they are asked besides by statements, and their transactions. */
import type { Undo } from "../ambient/patch.js";
import type { CapturedRun } from "../capture/captured-run.js";
import type { CapturedMethod, CaptureTools } from "../capture/define-capture.js";
import { withSelf } from "../capture/with-self.js";
import { effectOf, type SqliteDriver, standInStatement } from "./statement.js";

/** What they are asked and answer at once; `void` for those that give the database itself. */
const ASKING = ["pragma", "serialize", "location"];
const CHANGING = ["exec", "close", "open", "loadExtension"];

interface Prepared {
  readonly reader: unknown;
  readonly readonly: unknown;
}

export function patchDatabases(driver: SqliteDriver, tools: CaptureTools): Undo[] {
  const { run, method } = tools;
  const methods = driver.database;
  return [
    ...ASKING.map((name) =>
      method(methods, name, (original) =>
        withSelf((database, input) => {
          const current = run();
          const perform = (): unknown => original.apply(database, [...input]);
          return current === undefined ? perform() : current.effect(effectOf(driver, name, input), perform);
        }),
      ),
    ),
    ...CHANGING.map((name) =>
      method(methods, name, (original) =>
        withSelf((database, input) => {
          const current = run();
          if (current === undefined) return original.apply(database, [...input]);
          const givesItself = current.effect(
            effectOf(driver, name, input),
            () => original.apply(database, [...input]) === database,
          );
          return givesItself ? database : undefined;
        }),
      ),
    ),
    method(methods, "backup", (original) =>
      withSelf((database, input) => {
        const current = run();
        if (current === undefined) return original.apply(database, [...input]);
        return current.promise(effectOf(driver, "backup", [input[0]]), (arrive) => {
          (original.apply(database, [...input]) as Promise<unknown>).then(
            (value) => arrive({ status: "ok", value }),
            (error: unknown) => arrive({ status: "error", error }),
          );
        });
      }),
    ),
    method(methods, "prepare", (original) =>
      withSelf((database, input) => {
        const current = run();
        if (current === undefined) return original.apply(database, [...input]);
        return prepare(driver, current, original, database, input);
      }),
    ),
    method(methods, "transaction", (original) =>
      withSelf((database, input) => transaction(driver, tools, original, database, input)),
    ),
  ];
}

/** A statement that is kept is prepared for all runs that follow: so to prepare one is no part of a run. */
function prepare(
  driver: SqliteDriver,
  current: CapturedRun,
  original: CapturedMethod,
  database: object,
  input: readonly unknown[],
): unknown {
  const sql = String(input[0]);
  let real: object | undefined;
  const { reader, readonly } = current.effect(
    {
      ...effectOf(driver, "prepare", [sql]),
      otherwise: () => ({ reader: reads(sql), readonly: reads(sql) }),
    },
    (): Prepared => {
      real = original.apply(database, [...input]) as object;
      const { reader, readonly } = real as Partial<Prepared>;
      return { reader, readonly };
    },
  );
  return real ?? standInStatement(driver, { source: sql, sourceSQL: sql, reader, readonly, database });
}

const READING = ["select", "with", "values", "pragma", "explain"];

/** Whether a statement gives rows. */
function reads(sql: string): boolean {
  const text = sql.trimStart().toLowerCase();
  return READING.some((word) => text.startsWith(word)) || text.includes("returning");
}

type Body = (...input: unknown[]) => unknown;
type Variants = Body & Readonly<Record<string, Body>>;

const BEGINNINGS: Readonly<Record<string, string>> = {
  default: "BEGIN",
  deferred: "BEGIN DEFERRED",
  immediate: "BEGIN IMMEDIATE",
  exclusive: "BEGIN EXCLUSIVE",
};
/** As the driver names it. */
const SAVEPOINT = "`\t_bs3.\t`";

/** What a transaction does is part of the run; its beginning and its end are effects. */
function transaction(
  driver: SqliteDriver,
  tools: CaptureTools,
  original: CapturedMethod,
  database: object,
  input: readonly unknown[],
): unknown {
  const [body] = input;
  const real = original.apply(database, [...input]) as Variants;
  if (typeof body !== "function") return real;
  const variants: Record<string, PropertyDescriptor> = {
    database: { value: database, enumerable: true },
  };
  for (const [name, begin] of Object.entries(BEGINNINGS)) {
    const whole = real[name] as Body;
    variants[name] = {
      value: function sqliteTransaction(this: unknown, ...given: unknown[]): unknown {
        const current = tools.run();
        if (current === undefined) return Reflect.apply(whole, this, given);
        return inTransaction(
          driver,
          current,
          database,
          begin,
          () => Reflect.apply(body, this, given) as unknown,
        );
      },
    };
  }
  for (const name of Object.keys(BEGINNINGS)) {
    Object.defineProperties(variants[name]?.value as object, variants);
  }
  return variants["default"]?.value as unknown;
}

function inTransaction(
  driver: SqliteDriver,
  current: CapturedRun,
  database: object,
  begin: string,
  body: () => unknown,
): unknown {
  const { exec, inTransaction: isOpen } = database as {
    exec: (sql: string) => unknown;
    readonly inTransaction: boolean;
  };
  const execute = (sql: string): unknown => exec.call(database, sql);
  const isNested = current.effect(effectOf(driver, "begin", [begin]), () => {
    execute(isOpen ? `SAVEPOINT ${SAVEPOINT}` : begin);
    return isOpen;
  });
  try {
    const result = body();
    if (typeof (result as Partial<PromiseLike<unknown>> | null | undefined)?.then === "function") {
      throw new TypeError("Transaction function cannot return a promise");
    }
    current.effect(effectOf(driver, "commit", []), () => {
      execute(isNested ? `RELEASE ${SAVEPOINT}` : "COMMIT");
    });
    return result;
  } catch (error) {
    current.effect(effectOf(driver, "rollback", []), () => {
      if (!(database as { readonly inTransaction: boolean }).inTransaction) return;
      execute(isNested ? `ROLLBACK TO ${SAVEPOINT}` : "ROLLBACK");
      if (isNested) execute(`RELEASE ${SAVEPOINT}`);
    });
    throw error;
  }
}
