/**
 * SQLite through `better-sqlite3` and through `node:sqlite`. Within a run each execution of a statement is an effect. In a
 * replay no file is read: statements are of the driver's class, and are prepared by nothing.
 */
import type { Capture } from "../capture/capture.js";
import { type CaptureTools, defineCapture } from "../capture/define-capture.js";
import { HindcastError } from "../errors.js";
import { patchDatabases } from "./database.js";
import { type Methods, patchStatements, type SqliteDriver } from "./statement.js";

/** The class `Database` of `better-sqlite3`, or the module `node:sqlite`. */
export type SqliteModule = BetterSqlite | NodeSqlite;

/** The class `Database` of `better-sqlite3`. */
export interface BetterSqlite {
  readonly prototype: { prepare(...input: never[]): unknown };
}

/** The module `node:sqlite`. */
export interface NodeSqlite {
  readonly DatabaseSync: { readonly prototype: object };
  readonly StatementSync: { readonly prototype: object };
}

/** Captures what is asked through a driver of SQLite: `hindcast({ capture: { sqlite: sqliteCapture(Database) } })`. */
export function sqliteCapture(...modules: readonly SqliteModule[]): Capture {
  if (modules.length === 0 || !modules.every((module) => isNodeSqlite(module) || isBetterSqlite(module))) {
    throw new HindcastError(
      "invalid-options",
      "sqliteCapture(module): give the class Database of better-sqlite3, or the module node:sqlite.",
    );
  }
  return defineCapture({
    name: "sqlite",
    target: modules[0] as object,
    preparations: ["prepare"],
    patch: (tools) =>
      modules.flatMap((module) => {
        const driver = isNodeSqlite(module) ? nodeSqlite(module) : betterSqlite(module, tools);
        return [...patchDatabases(driver, tools), ...patchStatements(driver, tools)];
      }),
  });
}

function isNodeSqlite(module: SqliteModule): module is NodeSqlite {
  return typeof (module as Partial<NodeSqlite>).DatabaseSync === "function";
}

function isBetterSqlite(module: SqliteModule): module is BetterSqlite {
  return typeof (module as Partial<BetterSqlite>).prototype?.prepare === "function";
}

function nodeSqlite({ DatabaseSync, StatementSync }: NodeSqlite): SqliteDriver {
  return {
    database: DatabaseSync.prototype as Methods,
    statement: StatementSync.prototype as Methods,
    errors: {},
    sqlOf: (statement) => (statement as { readonly sourceSQL: string }).sourceSQL,
  };
}

interface OpenDatabase {
  prepare(sql: string): object;
  close(): void;
}

function betterSqlite(module: BetterSqlite, { inside }: CaptureTools): SqliteDriver {
  const Database = module as unknown as { new (name: string): OpenDatabase; readonly SqliteError: unknown };
  // The class of statements is to be had from one alone.
  const statement = inside(() => {
    const database = new Database(":memory:");
    const prototype = Object.getPrototypeOf(database.prepare("select 1")) as Methods;
    database.close();
    return prototype;
  });
  return {
    database: module.prototype as unknown as Methods,
    statement,
    errors: { SqliteError: Database.SqliteError },
    sqlOf: (prepared) => (prepared as { readonly source: string }).source,
  };
}
