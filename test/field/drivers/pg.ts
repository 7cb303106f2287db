import { once } from "node:events";
import { drizzle } from "drizzle-orm/node-postgres";
import { integer, pgTable, text } from "drizzle-orm/pg-core";
import { eq, sql } from "drizzle-orm";
import { pgCapture } from "hindcast/pg";
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import Cursor from "pg-cursor";
import QueryStream from "pg-query-stream";
import type { DriverFixture } from "./run-driver.js";

const settings = {
  host: "127.0.0.1",
  port: Number(process.env["SERVER_PORT"] ?? 5432),
  user: "postgres",
  database: "postgres",
};

interface Row {
  id: number;
  [column: string]: unknown;
}

/** As a library's decimal: a class of its own, with private fields. */
class Money {
  readonly #cents: bigint;
  constructor(cents: bigint) {
    this.#cents = cents;
  }
  plus(other: Money): Money {
    return new Money(this.#cents + other.#cents);
  }
  toString(): string {
    return String(this.#cents);
  }
}

const NUMERIC = 1700;
const types = {
  getTypeParser: (oid: number, format?: string) =>
    oid === NUMERIC
      ? (value: string) => new Money(BigInt(value.replace(".", "")))
      : (pg.types.getTypeParser as (oid: number, format?: string) => unknown)(oid, format),
};

const pool = new pg.Pool({ ...settings, max: 6 });
const users = pgTable("hc_users", { id: integer().primaryKey(), name: text(), balance: text() });
const db = drizzle(pool);
interface Tables {
  hc_users: { id: number; name: string; balance: string };
}
const kysely = new Kysely<Tables>({
  dialect: new PostgresDialect({ pool: new pg.Pool({ ...settings, max: 4 }) }),
});

async function inTransaction<T>(body: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect();
  try {
    await client.query("begin");
    const result = await body(client);
    await client.query("commit");
    return result;
  } catch (error) {
    await client.query("rollback");
    throw error;
  } finally {
    client.release();
  }
}

const failing = async (body: () => Promise<unknown>): Promise<unknown> => {
  try {
    return await body();
  } catch (error) {
    const { message, code, detail, severity } = error as pg.DatabaseError;
    return [error instanceof pg.DatabaseError, message, code, detail, severity];
  }
};

export const fixture: DriverFixture = {
  captures: { pg: pgCapture(pg) },
  async prepare() {
    await pool.query("drop table if exists hc_users");
    await pool.query(
      "create table hc_users (id int primary key, name text, balance numeric(10,2), at timestamptz default now(), doc jsonb, raw bytea)",
    );
    await pool.query(
      `insert into hc_users select i, 'user ' || i, i * 1.5, now(), jsonb_build_object('i', i), '\\x00ff'::bytea from generate_series(1, 100) i`,
    );
  },
  programs: {
    "pool.query": async (id) => {
      const result = await pool.query("select * from hc_users where id = $1", [id]);
      const [row] = result.rows as Row[];
      return {
        row,
        named: result.constructor.name,
        instance: result.rowCount,
        command: result.command,
        fields: result.fields.map(({ name, dataTypeID }) => [name, dataTypeID]),
        date: (row as { at: Date }).at instanceof Date,
        buffer: Buffer.isBuffer((row as { raw: Buffer }).raw),
      };
    },
    "pool.query with a callback": (id) =>
      new Promise((resolve, reject) => {
        pool.query("select name, random() as r from hc_users where id = $1", [id], (error, result) => {
          if (error) reject(error);
          else resolve(result.rows);
        });
      }),
    "a result as it is": async (id) => pool.query("select * from hc_users where id = $1", [id]),
    "several statements": async () => {
      const results = (await pool.query(
        "select 1 as a; select random() as b",
      )) as unknown as pg.QueryResult[];
      return results.map(({ rows }) => rows as unknown[]);
    },
    "parsers of a class of its own": async (id) => {
      const query = {
        text: "select balance from hc_users where id = any($1)",
        values: [[id, id + 1]],
        types,
      };
      // oxlint-disable-next-line typescript/no-unnecessary-type-assertion -- where the types of pg are not installed
      const { rows } = await pool.query<{ balance: Money }>(query as unknown as pg.QueryConfig);
      return String((rows[0] as { balance: Money }).balance.plus((rows[1] as { balance: Money }).balance));
    },
    "rows as lists, a named statement": async (id) =>
      (
        await pool.query({
          name: "by-id",
          text: "select id, name, random() from hc_users where id = $1",
          values: [id],
          rowMode: "array",
        })
      ).rows,
    "many at once": async (id) => {
      const all = await Promise.all(
        Array.from({ length: 8 }, (_, index) =>
          pool.query("select $1::int + random() as x, pg_sleep(random() / 200)", [id + index]),
        ),
      );
      const first = await Promise.race([
        pool.query("select 'a' as x, pg_sleep(random() / 200)"),
        pool.query("select 'b' as x, pg_sleep(random() / 200)"),
      ]);
      return [all.map(({ rows }) => rows as unknown[]), first.rows];
    },
    errors: async () => [
      await failing(() => pool.query("select nothing from nowhere")),
      await failing(() => pool.query("insert into hc_users (id) values (1)")),
      await failing(() => inTransaction((client) => client.query("select 1/0"))),
    ],
    transaction: async (id) =>
      inTransaction(async (client) => {
        await client.query("update hc_users set name = $1 where id = $2", [
          `name ${Math.random()}`,
          50 + (id % 40),
        ]);
        const { rows } = await client.query("select name from hc_users where id = $1", [50 + (id % 40)]);
        return rows as unknown[];
      }),
    "a pool of its own, released twice": async () => {
      const own = new pg.Pool({ ...settings, max: 1 });
      const client = await own.connect();
      client.release();
      try {
        client.release();
        return "nothing";
      } catch (error) {
        return (error as Error).message;
      } finally {
        await own.end();
      }
    },
    "pool.connect with a callback": (id) =>
      new Promise((resolve, reject) => {
        pool.connect((error, client, done) => {
          if (error || client === undefined) return reject(error);
          client.query("select $1::int + random() as x", [id], (failed, result) => {
            done();
            if (failed) reject(failed);
            else resolve([result.rows, typeof (client as unknown as { processID: unknown }).processID]);
          });
        });
      }),
    "a client of its own": async (id) => {
      const client = new pg.Client(settings);
      await client.connect();
      try {
        return (await client.query("select $1::int + random() as x", [id])).rows;
      } finally {
        await client.end();
      }
    },
    "Query by events": async (id) => {
      const client = await pool.connect();
      try {
        const query = client.query(new pg.Query("select i, random() from generate_series(1, 5) i"));
        const rows: unknown[] = [id];
        query.on("row", (row: unknown) => rows.push(row));
        await once(query, "end");
        return rows;
      } finally {
        client.release();
      }
    },
    cursor: async (id) => {
      const client = await pool.connect();
      const cursor = client.query(
        new Cursor("select i, random() as r, now() as at from generate_series(1, $1) i", [20 + id]),
      );
      const rows: unknown[] = [];
      for (;;) {
        const some = (await cursor.read(8)) as unknown[];
        if (some.length === 0) break;
        rows.push(...some);
      }
      await cursor.close();
      client.release();
      return rows;
    },
    "cursor that is closed early, and one that fails": async () => {
      const client = await pool.connect();
      const cursor = client.query(new Cursor("select random() as r from generate_series(1, 50)"));
      const rows = (await cursor.read(3)) as unknown[];
      await cursor.close();
      const bad = await failing(() => client.query(new Cursor("select nothing from nowhere")).read(1));
      const after = await client.query("select random() as r");
      client.release();
      return [rows, bad, after.rows];
    },
    "query stream": async (id) => {
      const client = await pool.connect();
      const stream = client.query(
        new QueryStream("select i, random() as r from generate_series(1, $1) i", [250 + id]),
      );
      let sum = 0;
      let count = 0;
      for await (const row of stream as AsyncIterable<{ r: number }>) {
        sum += row.r;
        count += 1;
      }
      client.release();
      return [count, sum];
    },
    "listen and notify": async (id) => {
      const client = new pg.Client(settings);
      await client.connect();
      const channel = `hc_${id}`;
      await client.query(`listen ${channel}`);
      const messages: unknown[] = [];
      const told = new Promise<void>((resolve) => {
        client.on("notification", ({ channel: from, payload }) => {
          if (from === channel) messages.push(payload);
          if (messages.length === 3) resolve();
        });
      });
      for (let index = 0; index < 3; index++) {
        await pool.query("select pg_notify($1, $2)", [channel, `${index} ${Math.random()}`]);
      }
      await told;
      await client.query(`unlisten ${channel}`);
      client.removeAllListeners("notification");
      await client.end();
      return messages;
    },
    drizzle: async (id) => [
      await db.select().from(users).where(eq(users.id, id)),
      await db.transaction(async (tx) => {
        await tx
          .update(users)
          .set({ name: `d ${Math.random()}` })
          .where(eq(users.id, 60 + (id % 30)));
        return tx
          .select({ name: users.name })
          .from(users)
          .where(eq(users.id, 60 + (id % 30)));
      }),
      (await db.execute(sql`select random() as r`)).rows,
    ],
    kysely: async (id) => [
      await kysely.selectFrom("hc_users").selectAll().where("id", "=", id).executeTakeFirst(),
      await kysely.transaction().execute(async (trx) => {
        const { numUpdatedRows } = await trx
          .updateTable("hc_users")
          .set({ name: `k ${Math.random()}` })
          .where("id", "=", 70)
          .executeTakeFirst();
        return String(numUpdatedRows);
      }),
    ],
  },
  async close() {
    await Promise.all([pool.end(), kysely.destroy()]);
  },
};
