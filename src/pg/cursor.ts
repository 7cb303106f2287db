/** Cursors, and the streams that read them, within a run: each reading is an effect. */
import type { CapturedRun } from "../capture/captured-run.js";
import type { CaptureTools } from "../capture/define-capture.js";
import { type Answer, answerOf, isAnswer, RAW } from "./answer.js";
import type { Callback, PgResult, ResultClass, TypeParsers } from "./pg-module.js";
import type { Errors } from "./query.js";

/** A cursor of `pg-cursor`. */
export interface Cursor {
  readonly text: string;
  readonly values: readonly unknown[] | null;
  readonly _conf?: { readonly rowMode?: string; readonly types?: TypeParsers };
  _result: PgResult;
  submit: unknown;
  read(rows: number, callback?: Callback): unknown;
  close(callback?: Callback): unknown;
  emit(event: string, ...input: unknown[]): boolean;
}

/** The cursor that a query is, or reads. */
export function cursorOf(submitted: unknown): Cursor | undefined {
  const { cursor } = submitted as { readonly cursor?: unknown };
  return isCursor(cursor) ? cursor : isCursor(submitted) ? submitted : undefined;
}

function isCursor(value: unknown): value is Cursor {
  const { submit, read, close, pipe, _result } = (value ?? {}) as Record<string, unknown>;
  return (
    typeof submit === "function" &&
    typeof read === "function" &&
    typeof close === "function" &&
    typeof _result === "object" &&
    pipe === undefined
  );
}

/** Has each reading of `cursor` go by the run in which it is asked for. To be called before it is submitted. */
export function captureCursor(
  cursor: Cursor,
  Result: ResultClass,
  types: TypeParsers | undefined,
  errors: Errors,
  { run, inside }: CaptureTools,
): void {
  const { rowMode, types: own } = cursor._conf ?? {};
  const result = new Result(rowMode, own ?? types);
  const read = cursor.read.bind(cursor);
  const close = cursor.close.bind(cursor);
  const emit = cursor.emit.bind(cursor);
  cursor._result = new Result("array", RAW);
  let described = false;

  const ask = (count: number, arrive: (error: unknown, answer?: Answer) => void): void => {
    read(count, (error, rows) => {
      if (error) return arrive(error);
      const { fields, ...answer } = answerOf({ ...cursor._result, rows: rows as unknown[] });
      arrive(null, { ...answer, fields: described ? undefined : fields });
      described ||= fields !== undefined;
    });
  };
  const rowsOf = (answer: unknown): readonly unknown[] => {
    if (!isAnswer(answer)) return answer as readonly unknown[];
    if (answer.fields !== undefined) result.addFields([...answer.fields]);
    Object.assign(result, { command: answer.command, rowCount: answer.rowCount, oid: answer.oid });
    return (result.rows = answer.texts.map((texts) => result.parseRow(texts)));
  };
  const give = (answer: unknown, callback: Callback): void => {
    let rows: readonly unknown[];
    try {
      rows = rowsOf(answer);
    } catch (error) {
      return callback(error);
    }
    for (const row of rows) emit("row", row, result);
    callback(null, rows, result);
  };
  const reading = (current: CapturedRun | undefined, count: number, callback: Callback): void => {
    if (current === undefined) {
      ask(count, (error, answer) => (error ? callback(error) : give(answer, callback)));
      return;
    }
    current.start(
      { name: "cursor.read", input: [count], ...errors },
      (arrive) => {
        ask(count, (error, value) => arrive(error ? { status: "error", error } : { status: "ok", value }));
      },
      (outcome) => (outcome.status === "error" ? callback(outcome.error) : give(outcome.value, callback)),
    );
  };
  const closing = (current: CapturedRun | undefined, callback: Callback): void => {
    if (current === undefined) {
      inside(() => close(callback));
      return;
    }
    current.start(
      { name: "cursor.close", input: [], ...errors },
      (arrive) => {
        close((error) => arrive(error ? { status: "error", error } : { status: "ok", value: undefined }));
      },
      (outcome) => (outcome.status === "error" ? callback(outcome.error) : callback(null)),
    );
  };
  Object.assign(cursor, {
    // The rows that the driver tells of are told when the program is given them.
    emit: (event: string, ...input: unknown[]) => (event === "row" ? false : emit(event, ...input)),
    read: (count: number, callback?: Callback) => inPromise(callback, (done) => reading(run(), count, done)),
    close: (callback?: Callback) => inPromise(callback, (done) => closing(run(), done)),
  });
}

/** Calls `body` with the callback, or gives a promise where there is none. */
function inPromise(
  callback: Callback | undefined,
  body: (done: Callback) => void,
): Promise<unknown> | undefined {
  if (typeof callback === "function") {
    body(callback);
    return undefined;
  }
  return new Promise((resolve, reject) => {
    body((error, value) => {
      if (error) reject(error);
      else resolve(value);
    });
  });
}
