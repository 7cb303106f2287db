/** Prepared statements within a run: each execution is an effect, and so is each row that is stepped to. */
import type { Undo } from "../ambient/patch.js";
import type { CapturedEffect, CapturedRun } from "../capture/captured-run.js";
import type { CapturedMethod, CaptureTools } from "../capture/define-capture.js";
import { errorOf, plainError } from "../capture/plain-error.js";
import { withSelf } from "../capture/with-self.js";

export type Methods = Record<string, CapturedMethod>;

/** What a driver's module is made of. */
export interface SqliteDriver {
  /** The prototypes of its databases and statements. */
  readonly database: Methods;
  readonly statement: Methods;
  readonly errors: Readonly<Record<string, unknown>>;
  /** The text of a statement. */
  readonly sqlOf: (statement: object) => string;
}

/** An effect whose errors are the driver's. */
export function effectOf({ errors }: SqliteDriver, name: string, input: readonly unknown[]): CapturedEffect {
  return {
    name,
    input,
    record: { error: plainError },
    revive: { error: (plain: unknown) => errorOf(plain, errors) },
  };
}

/** Statements that a replay has made up: nothing has prepared them. */
const standIns = new WeakSet<object>();

/** A statement of the driver's class that is prepared by nothing. */
export function standInStatement(driver: SqliteDriver, fields: Readonly<Record<string, unknown>>): object {
  const statement = Object.create(driver.statement) as object;
  standIns.add(statement);
  for (const [key, value] of Object.entries(fields)) {
    Object.defineProperty(statement, key, { value, enumerable: true });
  }
  return statement;
}

const EXECUTING = ["run", "get", "all", "columns"];

/** They say how a statement is to answer, which a replay is told by what is recorded. */
const SETTINGS = [
  "pluck",
  "expand",
  "raw",
  "safeIntegers",
  "bind",
  "setReadBigInts",
  "setAllowBareNamedParameters",
  "setAllowUnknownNamedParameters",
  "setReturnArrays",
];

export function patchStatements(driver: SqliteDriver, { run, method }: CaptureTools): Undo[] {
  const { statement: methods, sqlOf } = driver;
  const executing = (name: string): Undo =>
    method(methods, name, (original) =>
      withSelf((statement, input) => {
        const current = run();
        const perform = (): unknown => original.apply(statement, [...input]);
        if (current === undefined) return perform();
        return current.effect(effectOf(driver, name, [sqlOf(statement), ...input]), perform);
      }),
    );
  const setting = (name: string): Undo =>
    method(methods, name, (original) =>
      withSelf((statement, input) => {
        if (!standIns.has(statement)) return original.apply(statement, [...input]);
        return name.startsWith("set") ? undefined : statement;
      }),
    );
  return [
    ...EXECUTING.map(executing),
    ...SETTINGS.map(setting),
    method(methods, "iterate", (original) =>
      withSelf((statement, input) => {
        const current = run();
        const open = (): Iterator<unknown> =>
          (original.apply(statement, [...input]) as Iterable<unknown>)[Symbol.iterator]();
        return current === undefined
          ? original.apply(statement, [...input])
          : iterate(driver, current, [sqlOf(statement), ...input], open);
      }),
    ),
  ];
}

function iterate(
  driver: SqliteDriver,
  current: CapturedRun,
  input: readonly unknown[],
  open: () => Iterator<unknown>,
): IterableIterator<unknown> {
  let rows: Iterator<unknown> | undefined;
  current.effect(effectOf(driver, "iterate", input), () => {
    rows = open();
  });
  const step = (name: "next" | "return"): IteratorResult<unknown> =>
    current.effect(effectOf(driver, `iterate.${name}`, []), () => {
      const { done, value } = rows?.[name]?.() ?? { done: true, value: undefined };
      return done === true ? { done, value: undefined } : { done: false, value };
    });
  return {
    next: () => step("next"),
    return: () => step("return"),
    [Symbol.iterator]() {
      return this;
    },
  };
}
