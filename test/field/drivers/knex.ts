import { knexCapture } from "hindcast/knex";
import { pgCapture } from "hindcast/pg";
import knex from "knex";
import pg from "pg";
import type { DriverFixture } from "./run-driver.js";

const db = knex({
  client: "pg",
  connection: {
    host: "127.0.0.1",
    port: Number(process.env["SERVER_PORT"] ?? 5432),
    user: "postgres",
    database: "postgres",
  },
  pool: { min: 0, max: 6 },
});

export const fixture: DriverFixture = {
  captures: { pg: pgCapture(pg), knex: knexCapture(knex.Client) },
  async prepare() {
    // By another client: the first run is to find the pool cold.
    const client = new pg.Client({ host: "127.0.0.1", user: "postgres", database: "postgres" });
    await client.connect();
    await client.query("drop table if exists hc_knex");
    await client.query("create table hc_knex (id int primary key, name text)");
    await client.query("insert into hc_knex select i, 'user ' || i from generate_series(1, 100) i");
    await client.end();
  },
  programs: {
    queries: async (id) => [
      await db("hc_knex").where({ id }).first(),
      await db("hc_knex").select("id", db.raw("random() as r")).where("id", "<", id).limit(3),
      await db("hc_knex")
        .where({ id: 50 })
        .update({ name: `k ${Math.random()}` })
        .returning("name"),
      await db.raw("select random() as r").then(({ rows }: { rows: unknown[] }) => rows),
    ],
    "many at once": async (id) =>
      Promise.all(
        Array.from({ length: 6 }, async (_, index) => {
          const { rows } = (await db.raw("select ?::int as i, random() as r, pg_sleep(random() / 200)", [
            id + index,
          ])) as { rows: unknown[] };
          return rows;
        }),
      ),
    transaction: async (id) => {
      const done = await db.transaction(async (trx) => {
        await trx("hc_knex")
          .where({ id: 60 })
          .update({ name: `t ${id} ${Math.random()}` });
        return trx("hc_knex").where({ id: 60 }).first();
      });
      const failed = await db
        .transaction(async (trx) => {
          await trx("hc_knex").insert({ id: 1, name: "again" });
        })
        .catch((error: Error & { code?: string }) => [
          error instanceof pg.DatabaseError,
          error.code,
          error.message,
        ]);
      return [done, failed];
    },
    "a stream": async (id) => {
      let count = 0;
      for await (const row of db("hc_knex").where("id", ">", id).stream() as AsyncIterable<{ id: number }>)
        count += row.id;
      return count;
    },
  },
  async close() {
    await db.destroy();
  },
};
