/** `client.query` and `pool.query` within a run: one effect each, whatever they take and however they answer. */
import { errorOf, plainError } from "../capture/plain-error.js";
import type { CapturedEffect, CapturedRun, ResultConversion } from "../capture/captured-run.js";
import { answersOf, RAW, resultsOf } from "./answer.js";
import type { Callback, PgModule, PgResult, ResultClass, TypeParsers } from "./pg-module.js";

/** What a query was asked with. */
export interface AskedQuery {
  readonly config: QueryConfig;
  readonly callback: Callback | undefined;
}

export interface QueryConfig {
  readonly text?: string;
  readonly values?: readonly unknown[];
  readonly name?: string;
  readonly rowMode?: string;
  readonly types?: TypeParsers;
  readonly [option: string]: unknown;
}

/** Of the arguments of a query, as the driver reads them. */
export function askedQuery([first, second, third]: readonly unknown[]): AskedQuery {
  const given =
    typeof first === "string" ? { text: first } : (first as QueryConfig & { callback?: Callback });
  const values = second && typeof second !== "function" ? second : given.values;
  const callback =
    typeof third === "function" ? third : typeof second === "function" ? second : given["callback"];
  const config: QueryConfig = {};
  for (const option of OPTIONS) {
    if (given[option] !== undefined) Object.assign(config, { [option]: given[option] });
  }
  if (values !== undefined) Object.assign(config, { values });
  return { config, callback: callback as Callback | undefined };
}

/** They may be getters, or be inherited. */
const OPTIONS = [
  "text",
  "name",
  "rowMode",
  "types",
  "queryMode",
  "binary",
  "rows",
  "portal",
  "query_timeout",
];

/** What is recorded of it. */
export function effectOf(
  name: string,
  { text, values, name: statement, rowMode }: QueryConfig,
  errors: Errors,
): CapturedEffect {
  const options = {
    ...(statement === undefined ? {} : { name: statement }),
    ...(rowMode === undefined ? {} : { rowMode }),
  };
  const input: unknown[] = [text];
  if (values !== undefined || Object.keys(options).length > 0) input.push(values ?? []);
  if (Object.keys(options).length > 0) input.push(options);
  return { name, input, ...errors };
}

/** How errors are recorded, and made again. */
export interface Errors {
  readonly record: ResultConversion;
  readonly revive: ResultConversion;
}

/** An error of the database's comes back as one. */
export function errorsOf({ DatabaseError }: PgModule): Errors {
  return {
    record: { error: plainError },
    revive: { error: (plain: unknown) => errorOf(plain, { DatabaseError }) },
  };
}

/** How a query is done within a run. */
export interface QueryInRun {
  readonly run: CapturedRun;
  readonly errors: Errors;
  readonly Result: ResultClass;
  /** The parsers of the client, where the query has none of its own. */
  readonly types: TypeParsers | undefined;
  /** Asks it for real. */
  readonly ask: (config: QueryConfig) => PromiseLike<unknown>;
}

/** Does it; the result comes as it was asked for. */
export function queryInRun(
  { config, callback }: AskedQuery,
  inRun: QueryInRun,
): Promise<unknown> | undefined {
  const { run, errors, Result, ask } = inRun;
  const making = { Result, rowMode: config.rowMode, types: config.types ?? inRun.types };
  const begin = (resolve: (result: unknown) => void, reject: (error: unknown) => void): void => {
    run.start(
      effectOf("query", config, errors),
      (arrive) => {
        ask({ ...config, rowMode: "array", types: RAW }).then(
          (result) => arrive({ status: "ok", value: answersOf(result as PgResult) }),
          (error: unknown) => arrive({ status: "error", error }),
        );
      },
      (outcome) => {
        if (outcome.status === "error") return reject(outcome.error);
        let result: unknown;
        try {
          result = resultsOf(outcome.value, making);
        } catch (error) {
          return reject(error); // a parser of the program's has thrown: the driver says so in this way
        }
        resolve(result);
      },
    );
  };
  if (callback === undefined) return new Promise(begin);
  begin((result) => callback(null, result), callback);
  return undefined;
}
