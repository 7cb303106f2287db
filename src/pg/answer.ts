/**
 * What a query gives, as it came from the server: the texts of its rows, with nothing made of them. They are what is
 * recorded; the program's own parsers make rows of them, while it is recorded and in a replay, so that whatever they
 * make (a decimal, a date of some library) is what it was.
 */
import type { ClientInside, PgField, PgResult, ResultClass, TypeParsers } from "./pg-module.js";

export interface Answer {
  readonly command: string | null;
  readonly rowCount: number | null;
  readonly oid: number | null;
  /** Undefined where the server described none. */
  readonly fields: readonly PgField[] | undefined;
  /** By row, the text of each field, or null. */
  readonly texts: readonly (readonly unknown[])[];
}

const asItCame = (text: unknown): unknown => text;

/** Parsers that leave the texts as they came. */
export const RAW: TypeParsers = { getTypeParser: () => asItCame };

/** Of a query that was asked for rows as lists, by `RAW`. */
export function answersOf(result: PgResult | readonly PgResult[]): Answer | readonly Answer[] {
  return Array.isArray(result) ? (result as readonly PgResult[]).map(answerOf) : answerOf(result as PgResult);
}

export function answerOf({
  command,
  rowCount,
  oid,
  fields,
  rows,
}: Pick<PgResult, "command" | "rowCount" | "oid" | "fields" | "rows">): Answer {
  return {
    command,
    rowCount,
    oid,
    fields: fields.length === 0 ? undefined : fields.map(plainField),
    texts: rows as readonly (readonly unknown[])[],
  };
}

function plainField(field: PgField): PgField {
  const { name, tableID, columnID, dataTypeID, dataTypeSize, dataTypeModifier, format } = field;
  return { name, tableID, columnID, dataTypeID, dataTypeSize, dataTypeModifier, format };
}

/** How rows are made of texts: for a query, as its configuration says, and else as its client does. */
export interface RowMaking {
  readonly Result: ResultClass;
  readonly rowMode: string | undefined;
  readonly types: TypeParsers | undefined;
}

/** The result, or the results, that a program gets. What a function gave in a what-if is taken for one already. */
export function resultsOf(answer: unknown, making: RowMaking): unknown {
  if (Array.isArray(answer)) return answer.map((one) => resultsOf(one, making));
  return isAnswer(answer) ? resultOf(answer, making) : likeResult(answer, making);
}

export function isAnswer(answer: unknown): answer is Answer {
  return Array.isArray((answer as Partial<Answer> | null | undefined)?.texts);
}

function resultOf({ command, rowCount, oid, fields, texts }: Answer, making: RowMaking): PgResult {
  const result = new making.Result(making.rowMode, making.types);
  Object.assign(result, { command, rowCount, oid });
  if (fields !== undefined) result.addFields([...fields]);
  for (const row of texts) result.rows.push(result.parseRow(row));
  return result;
}

/** Of `{ rows }`, or of a list of rows, given in place of a result. */
function likeResult(given: unknown, making: RowMaking): unknown {
  const { rows, ...rest } = (given ?? {}) as Partial<PgResult>;
  if (!Array.isArray(rows)) return given;
  const result = new making.Result(making.rowMode, making.types);
  return Object.assign(result, { command: "SELECT", rowCount: rows.length, rows }, rest);
}

export function typesOf(client: object): TypeParsers | undefined {
  return (client as Partial<ClientInside>)._types;
}
