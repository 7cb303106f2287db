/** What is used of the package `pg`: no more than this, so that it is no dependency. */

export interface PgModule {
  readonly Client: PgClass<PgClient>;
  readonly Pool: PgClass<PgPool>;
  readonly Query: new (...input: never[]) => object;
  readonly DatabaseError?: { readonly prototype: object };
}

export type PgClass<Instance> = { readonly prototype: Instance } & (new (...input: never[]) => Instance);

export interface PgClient {
  processID?: number | null;
  release?: (error?: unknown) => void;
  query(...input: never[]): unknown;
  connect(...input: never[]): unknown;
  end(...input: never[]): unknown;
  on(event: string, listener: (...input: never[]) => void): unknown;
}

export interface PgPool {
  connect(...input: never[]): unknown;
  query(...input: never[]): unknown;
  end(...input: never[]): unknown;
}

/** Inside of a pool, where it is one. */
export interface PoolInside {
  readonly options: object;
  readonly Client: new (options: object) => PgClient;
}

/** Inside of a client. */
export interface ClientInside extends PgClient {
  readonly _types?: TypeParsers;
  _connected?: boolean;
  _connecting?: boolean;
  readyForQuery?: boolean;
}

export interface TypeParsers {
  getTypeParser(oid: number, format?: string): (text: never) => unknown;
}

/** Inside of a `Query`. */
export interface PgQuery {
  readonly _result: PgResult;
}

/** The driver's `Result`. */
export interface PgResult {
  command: string | null;
  rowCount: number | null;
  oid: number | null;
  rows: unknown[];
  fields: readonly PgField[];
  _types?: TypeParsers | undefined;
  addFields(fields: readonly PgField[]): void;
  parseRow(texts: readonly unknown[]): unknown;
}

export type ResultClass = new (rowMode: string | undefined, types: TypeParsers | undefined) => PgResult;

export interface PgField {
  readonly name: string;
  readonly tableID: number;
  readonly columnID: number;
  readonly dataTypeID: number;
  readonly dataTypeSize: number;
  readonly dataTypeModifier: number;
  readonly format: string;
}

/** The driver's own callbacks. */
export type Callback = (error: unknown, value?: unknown, more?: unknown) => void;
