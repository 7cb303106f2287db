/** `hindcast/sqlite`: what is asked of SQLite through `better-sqlite3` or `node:sqlite`, as effects. */
export type { Capture } from "../capture/capture.js";
export { type BetterSqlite, type NodeSqlite, sqliteCapture, type SqliteModule } from "./sqlite-capture.js";
