import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Database from "better-sqlite3";
import { eq } from "drizzle-orm";
import { drizzle } from "drizzle-orm/better-sqlite3";
import { integer, real, sqliteTable, text } from "drizzle-orm/sqlite-core";
import { sqliteCapture } from "hindcast/sqlite";
import { Kysely, SqliteDialect } from "kysely";
import type { DriverFixture } from "./run-driver.js";

// In a replay it is another, which is empty.
const database = new Database(join(mkdtempSync(join(tmpdir(), "hindcast-sqlite-")), "test.db"));
const users = sqliteTable("users", { id: integer().primaryKey(), name: text(), balance: real() });
const db = drizzle(database);
const kysely = new Kysely<{ users: { id: number; name: string; balance: number } }>({
  dialect: new SqliteDialect({ database }),
});

interface ById {
  get(id: number): unknown;
  columns(): readonly unknown[];
  readonly reader: boolean;
}
let byId: ById | undefined;

const failing = (body: () => unknown): unknown => {
  try {
    return body();
  } catch (error) {
    const { message, code } = error as Error & { code?: string };
    return [error instanceof Database.SqliteError, message, code];
  }
};

export const fixture: DriverFixture = {
  captures: { sqlite: sqliteCapture(Database) },
  async prepare() {
    database.exec("create table users (id integer primary key, name text, balance real, raw blob)");
    const insert = database.prepare("insert into users values (?, ?, ?, ?)");
    for (let id = 1; id <= 100; id++) insert.run(id, `user ${id}`, id * 1.5, Buffer.from([id]));
  },
  programs: {
    "get, all, run": async (id) => {
      const inserted = database
        .prepare("insert into users (name, balance) values (?, random())")
        .run(`new ${id}`);
      return [
        database.prepare("select *, random() as r from users where id = ?").get(id),
        database.prepare("select id, random() as r from users where id < @id limit 5").all({ id }),
        inserted.changes,
        typeof inserted.lastInsertRowid,
        database.prepare("select count(*) from users").pluck().get(),
        database.prepare("select id, random() from users limit 2").raw().all(),
        database.prepare("select random() as r").safeIntegers().get(),
        database.pragma("user_version", { simple: true }),
      ];
    },
    "a statement that is kept": async (id) => {
      byId ??= database.prepare("select name, random() as r from users where id = ?") as unknown as ById;
      return [byId.get(id), byId.reader, byId.columns().length];
    },
    iterate: async (id) => {
      const found: unknown[] = [];
      for (const row of database.prepare("select id, random() as r from users where id >= ?").iterate(id)) {
        found.push(row);
        if (found.length === 4) break;
      }
      return [found, [...database.prepare("select random() as r limit 1").iterate()]];
    },
    transactions: async (id) => {
      const change = database.transaction((name: string) => {
        database.prepare("update users set name = ? where id = ?").run(name, 50);
        return database.prepare("select name, random() as r from users where id = 50").get();
      });
      const failed = database.transaction(() => {
        change(`inner ${Math.random()}`);
        throw new Error("no");
      });
      return [
        change(`outer ${id}`),
        failing(() => failed.immediate()),
        database.prepare("select name from users where id = 50").get(),
      ];
    },
    errors: async () => [
      failing(() => database.prepare("select nothing from nowhere")),
      failing(() => database.prepare("insert into users (id) values (1)").run()),
      failing(() => database.exec("not sql")),
    ],
    drizzle: async (id) => [
      db.select().from(users).where(eq(users.id, id)).all(),
      db
        .insert(users)
        .values({ name: `d ${Math.random()}` })
        .returning({ name: users.name })
        .get(),
      db.transaction((tx) => {
        tx.update(users).set({ balance: Math.random() }).where(eq(users.id, 60)).run();
        return tx.select().from(users).where(eq(users.id, 60)).get();
      }),
    ],
    kysely: async (id) => [
      await kysely.selectFrom("users").selectAll().where("id", "=", id).executeTakeFirst(),
      await kysely
        .transaction()
        .execute(async (trx) =>
          String(
            (
              await trx
                .updateTable("users")
                .set({ balance: Math.random() })
                .where("id", "=", 70)
                .executeTakeFirst()
            ).numUpdatedRows,
          ),
        ),
    ],
  },
};
