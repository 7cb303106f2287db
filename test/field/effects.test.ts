/**
 * Clients that are declared with `hc.effects`, and nothing else: query builders, promises with methods, cursors,
 * transactions, callbacks. Each program sees what it sees without the library, and its run is replayed by an instance
 * whose clients reach nothing.
 */
import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import SQLite from "better-sqlite3";
import { drizzle } from "drizzle-orm/node-postgres";
import { integer, pgTable, serial, text } from "drizzle-orm/pg-core";
import { eq, inArray } from "drizzle-orm";
import { execa, ExecaError } from "execa";
import got from "got";
import { type Hindcast, hindcast } from "hindcast";
import { readCapsule, replay } from "hindcast/replay";
import { Redis } from "ioredis";
import Knex from "knex";
import { Kysely, PostgresDialect } from "kysely";
import ky from "ky";
import OpenAI from "openai";
import pg from "pg";
import Cursor from "pg-cursor";
import { PostgrestClient } from "@supabase/postgrest-js";
import Stripe from "stripe";
import superagent from "superagent";
import { afterAll, beforeAll, expect, test } from "vitest";
import { field } from "./field.js";

/** Where nothing listens. */
const NOWHERE = 9;

const users = pgTable("hc_effects_users", { id: serial("id"), name: text("name"), age: integer("age") });
const orders = pgTable("hc_effects_orders", {
  id: serial("id"),
  userId: integer("user_id"),
  total: integer("total"),
});

interface Tables {
  hc_effects_users: { id: number; name: string; age: number };
  hc_effects_orders: { id: number; user_id: number; total: number };
}

interface Places {
  readonly postgres: number;
  readonly http: number;
  readonly redis: number;
}

/** A program over the clients of an instance; `close` ends them. */
interface Made {
  readonly run: () => Promise<unknown>;
  readonly close?: () => unknown;
}

type Case = (hc: Hindcast, places: Places) => Made;

const connection = (port: number): pg.PoolConfig => ({
  host: "127.0.0.1",
  port,
  user: "postgres",
  database: "postgres",
});

const CASES: Readonly<Record<string, Case>> = {
  "drizzle: select, insert, update, delete": (hc, { postgres }) => {
    const pool = new pg.Pool(connection(postgres));
    const db = hc.effects("db", drizzle(pool), ["select", "insert", "update", "delete"]);
    return {
      close: () => pool.end(),
      run: async () => {
        const inserted = await db.insert(users).values({ name: "eve", age: 50 }).returning();
        const { rowCount } = await db.update(users).set({ age: 51 }).where(eq(users.name, "eve"));
        const found = await db.select().from(users).where(eq(users.name, "eve"));
        const gone = await db.delete(users).where(eq(users.name, "eve")).returning({ name: users.name });
        return [inserted.length, rowCount, found.map(({ age }) => age), gone];
      },
    };
  },
  "drizzle: a sub-query, toSQL, awaited twice": (hc, { postgres }) => {
    const pool = new pg.Pool(connection(postgres));
    const db = hc.effects("db", drizzle(pool), ["select"]);
    return {
      close: () => pool.end(),
      run: async () => {
        const rich = db.select({ id: orders.userId }).from(orders).where(eq(orders.total, 100));
        const query = db.select({ name: users.name }).from(users).where(inArray(users.id, rich));
        return [query.toSQL().params, await query, (await query).length];
      },
    };
  },
  "drizzle: a transaction": (hc, { postgres }) => {
    const pool = new pg.Pool(connection(postgres));
    const db = hc.effects("db", drizzle(pool), ["transaction"]);
    const double = hc.tool({ name: "double" }, (value: number) => value * 2);
    return {
      close: () => pool.end(),
      run: async () =>
        db.transaction(async (tx) => {
          const rows = await tx.select({ age: users.age }).from(users).where(eq(users.id, 1));
          await tx.update(users).set({ age: 40 }).where(eq(users.id, 1));
          return double(rows[0]?.age ?? 0);
        }),
    };
  },
  "knex: builders, where(function), first, toSQL, clone": (hc, { postgres }) => {
    const knex = Knex({ client: "pg", connection: { ...connection(postgres) } as object });
    const table = hc.effect({ name: "table" }, (name: string) => knex<Tables["hc_effects_users"]>(name));
    return {
      close: () => knex.destroy(),
      run: async () => {
        const base = table("hc_effects_users").select("name");
        const adults = base.clone().where(function () {
          void this.where("age", ">", 20).orWhere("name", "bob");
        });
        const first = await table("hc_effects_users").where({ id: 2 }).first();
        const counted = await table("hc_effects_users").count();
        return [adults.toSQL().sql, await adults.orderBy("id"), first?.name, counted];
      },
    };
  },
  "knex: a client that is a function, a transaction, raw": (hc, { postgres }) => {
    const knex = Knex({ client: "pg", connection: { ...connection(postgres) } as object });
    const db = hc.effects("knex", knex, ["from", "transaction", "raw"]);
    return {
      close: () => knex.destroy(),
      run: async () => {
        const { rows } = await db.raw<{ rows: unknown[] }>("select 1 + ? as n", [2]);
        const names = await db.transaction(async (trx) => {
          await trx("hc_effects_users").where({ id: 2 }).update({ age: 33 });
          return trx.from("hc_effects_users").select("age").where({ id: 2 });
        });
        return [rows, names, await db.from("hc_effects_users").where("id", 1).select("name")];
      },
    };
  },
  "kysely: builders, expressions, compile, a transaction": (hc, { postgres }) => {
    const pool = new pg.Pool(connection(postgres));
    const kysely = new Kysely<Tables>({ dialect: new PostgresDialect({ pool }) });
    const db = hc.effects("db", kysely, ["selectFrom", "insertInto", "deleteFrom", "transaction"]);
    return {
      close: () => kysely.destroy(),
      run: async () => {
        const query = db
          .selectFrom("hc_effects_users")
          .select(["id", "name"])
          .where((eb) => eb.or([eb("id", "=", 1), eb("name", "=", "bob")]))
          .orderBy("id");
        await db.insertInto("hc_effects_users").values({ id: 99, name: "zed", age: 1 }).execute();
        const gone = await db.deleteFrom("hc_effects_users").where("id", "=", 99).executeTakeFirst();
        const age = await db
          .transaction()
          .execute(async (trx) =>
            trx.selectFrom("hc_effects_users").select("age").where("id", "=", 3).executeTakeFirstOrThrow(),
          );
        return [query.compile().parameters, await query.execute(), String(gone.numDeletedRows), age];
      },
    };
  },
  "pg: a pool, a client, callbacks, a transaction by hand": (hc, { postgres }) => {
    const pool = new pg.Pool(connection(postgres));
    const db = hc.effects("pool", pool, ["connect", "query"]);
    return {
      close: () => pool.end(),
      run: async () => {
        const client = await db.connect();
        await client.query("begin");
        const { rows, rowCount } = await client.query("select name from hc_effects_users where id = $1", [1]);
        await client.query("commit");
        client.release();
        const called = await new Promise((resolve, reject) => {
          db.query("select 7 as n", (error: Error | null, result: pg.QueryResult) =>
            error === null || error === undefined ? resolve(result.rows) : reject(error),
          );
        });
        return [rows, rowCount, called];
      },
    };
  },
  "pg-cursor: read, close": (hc, { postgres }) => {
    const pool = new pg.Pool(connection(postgres));
    const open = hc.effect({ name: "open" }, async (sql: string) => {
      const client = await pool.connect();
      const cursor = client.query(new Cursor<{ id: number }>(sql));
      return {
        read: (count: number) => cursor.read(count),
        close: async () => (await cursor.close(), client.release()),
      };
    });
    return {
      close: () => pool.end(),
      run: async () => {
        const cursor = await open("select id from hc_effects_users order by id");
        const ids: number[] = [];
        for (;;) {
          const rows = await cursor.read(2);
          if (rows.length === 0) break;
          ids.push(...rows.map(({ id }) => id));
        }
        await cursor.close();
        return ids;
      },
    };
  },
  "better-sqlite3: statements, a transaction that is a function": (hc) => {
    const db = new SQLite(":memory:");
    db.exec("create table t (id integer, name text); insert into t values (1, 'a'), (2, 'b')");
    const sql = hc.effects("sqlite", db, ["prepare", "transaction"]);
    return {
      close: () => db.close(),
      run: async () => {
        const add = sql.prepare("insert into t values (?, ?)");
        const addAll = sql.transaction((names: string[]) => {
          let changed = 0;
          for (const [index, name] of names.entries()) changed += add.run(index + 3, name).changes;
          return changed;
        });
        return [addAll(["c", "d"]), sql.prepare("select name from t where id > ?").all(2), add.reader];
      },
    };
  },
  "ioredis: a pipeline and multi": (hc, { redis }) => {
    const client = new Redis({
      host: "127.0.0.1",
      port: redis,
      lazyConnect: true,
      retryStrategy: () => null,
    });
    client.on("error", () => undefined);
    const cache = hc.effects("redis", client, ["pipeline", "multi", "get"]);
    return {
      close: () => client.disconnect(),
      run: async () => {
        const piped = await cache
          .pipeline()
          .set("hc:effects", "1")
          .incr("hc:effects")
          .get("hc:effects")
          .exec();
        const multi = await cache.multi().incr("hc:effects").del("hc:effects").exec();
        return [piped, multi, await cache.get("hc:effects")];
      },
    };
  },
  "got: a promise with methods": (hc, { http }) => {
    const client = hc.effects("got", got, ["get", "post"]);
    return {
      run: async () => {
        const body = await client.get(`http://127.0.0.1:${http}/a`, { retry: { limit: 0 } }).json();
        const { statusCode } = await client.get(`http://127.0.0.1:${http}/b`, { retry: { limit: 0 } });
        const failed = await client
          .post(`http://127.0.0.1:${http}/missing`, { json: { a: 1 }, retry: { limit: 0 } })
          .text()
          .catch((error: Error) => error.name);
        return [body, statusCode, failed];
      },
    };
  },
  "ky: json, text, hooks": (hc, { http }) => {
    const client = hc.effects("ky", ky, ["get"]);
    return {
      run: async () => {
        const body = await client.get(`http://127.0.0.1:${http}/a`, { retry: 0 }).json();
        const response = await client.get(`http://127.0.0.1:${http}/b`, { retry: 0 });
        return [body, response.status, await response.json()];
      },
    };
  },
  "superagent: a builder that is a thenable": (hc, { http }) => {
    const client = hc.effects("http", superagent, ["get"]);
    return {
      run: async () => {
        const { body, status } = await client
          .get(`http://127.0.0.1:${http}/a`)
          .set("accept", "application/json")
          .query({ q: 1 });
        return [body, status] as unknown;
      },
    };
  },
  "stripe: auto-paging, a promise with lastResponse": (hc, { http }) => {
    const stripe = new Stripe("sk_test_x", {
      host: "127.0.0.1",
      port: http,
      protocol: "http",
      maxNetworkRetries: 0,
    });
    const customers = hc.effects("stripe.customers", stripe.customers, ["list"]);
    return {
      run: async () => {
        const all = await customers.list({ limit: 3 }).autoPagingToArray({ limit: 5 });
        const page = await customers.list({ limit: 3 });
        const iterated: string[] = [];
        for await (const { id } of customers.list({ limit: 3 })) iterated.push(id);
        return [all.map(({ id }) => id), page.data.length, page.has_more, iterated];
      },
    };
  },
  "openai: withResponse, asResponse, a page": (hc, { http }) => {
    const openai = new OpenAI({ apiKey: "x", baseURL: `http://127.0.0.1:${http}/v1`, maxRetries: 0 });
    const models = hc.effects("openai.models", openai.models, ["retrieve", "list"]);
    return {
      run: async () => {
        const { data, response } = await models.retrieve("m").withResponse();
        const plain = await models.retrieve("m");
        const ids: string[] = [];
        for await (const model of models.list()) ids.push(model.id);
        return [data.id, response.status, plain.id, ids];
      },
    };
  },
  "postgrest-js: filters, single, an error that is a value": (hc, { http }) => {
    const client = new PostgrestClient(`http://127.0.0.1:${http}`);
    const db = hc.effects("supabase", client, ["from"]);
    return {
      run: async () => {
        const { data, error } = await db.from("users").select("id, name").eq("id", 1).order("id");
        const single = await db.from("users").select().eq("id", 2).single();
        return [data, error, single.status];
      },
    };
  },
  "execa: a process that is a promise": (hc) => {
    const run = hc.effect({ name: "execa" }, (file: string, input: string[]) => execa(file, input));
    return {
      run: async () => {
        const { stdout, exitCode } = await run("node", ["-e", "console.log(6 * 7)"]);
        const failed = await run("node", ["-e", "process.exit(3)"]).catch(
          (error: { exitCode: number }) => error.exitCode,
        );
        return [stdout, exitCode, failed];
      },
    };
  },
};

/** Classes that the libraries do not export, and parts that are no data: the capsule names them. */
/** What a transaction gives is what its callback has had: that it is one object is noticed, and not given again. */
const GIVEN_AGAIN = /gave an object that the program had already/;

const NAMED_IN_REASONS: Readonly<Record<string, RegExp>> = {
  "kysely: builders, expressions, compile, a transaction": /InsertResult|DeleteResult|LazyQueryId/,
  "got: a promise with methods": /effect "got.post" is not whole at \$.options|HTTPError/,
};

await field(
  "clients that are declared",
  {
    packages: [
      "pg",
      "pg-cursor",
      "drizzle-orm",
      "knex",
      "kysely",
      "better-sqlite3",
      "ioredis",
      "got",
      "ky",
      "superagent",
      "stripe",
      "openai",
      "@supabase/postgrest-js",
      "execa",
    ],
    servers: ["postgres", "redis"],
  },
  () => {
    let server: Server;
    let asked = 0;
    const reset = async (): Promise<void> => {
      const pool = new pg.Pool(connection(5432));
      await pool.query(`
        drop table if exists hc_effects_users, hc_effects_orders;
        create table hc_effects_users (id serial, name text, age int);
        create table hc_effects_orders (id serial, user_id int, total int);
        insert into hc_effects_users (name, age) values ('ann', 30), ('bob', 20), ('cid', 10);
        insert into hc_effects_orders (user_id, total) values (1, 100), (2, 50)`);
      await pool.end();
    };
    beforeAll(async () => {
      server = createServer((request, response) => {
        asked += 1;
        response.setHeader("content-type", "application/json");
        const { url = "" } = request;
        if (url.includes("missing")) response.statusCode = 404;
        response.end(JSON.stringify(answerTo(url)));
      });
      server.listen(0, "127.0.0.1");
      await once(server, "listening");
    });
    afterAll(() => void server.close());

    test.each(Object.entries(CASES))("%s", async (name, make) => {
      const here: Places = { postgres: 5432, redis: 6379, http: (server.address() as AddressInfo).port };
      const nowhere: Places = { postgres: NOWHERE, redis: NOWHERE, http: here.http };
      const instance = (): Hindcast =>
        hindcast({ service: "effects", classes: [ExecaError], logger: { warn: () => undefined } });
      await reset();
      const bare = make(hindcast({ service: "bare", keep: [] }), here);
      const expected = await bare.run();
      await bare.close?.();
      await reset();
      const hc = instance();
      const made = make(hc, here);
      const flow = hc.pipeline({ name: "flow" }, made.run);
      expect(await flow()).toEqual(expected);
      await made.close?.();
      await hc.flush();
      const stored = [];
      for await (const one of hc.store.find({ pipeline: "flow" })) stored.push(one);
      const capsule = readCapsule(stored[0]!);
      const unexpected = capsule.replayable.reasons.filter(
        ({ message }) => !GIVEN_AGAIN.test(message) && NAMED_IN_REASONS[name]?.test(message) !== true,
      );
      expect(unexpected).toEqual([]);
      const before = asked;
      const other = instance();
      const again = make(other, nowhere);
      const result = await replay(stored[0]!, other.pipeline({ name: "flow" }, again.run), {
        timeout: 8_000,
      });
      if (result.verdict === "diverged") expect(result.divergence.message).toBe("");
      expect(result).toMatchObject({ verdict: "identical", outcome: { status: "ok", value: expected } });
      expect(asked).toBe(before);
      await again.close?.();
    });
  },
);

function answerTo(url: string): unknown {
  if (url.includes("customers")) {
    const last = url.includes("starting_after");
    const ids = last ? ["c4"] : ["c1", "c2", "c3"];
    return {
      object: "list",
      data: ids.map((id) => ({ id, object: "customer" })),
      has_more: !last,
      url: "/v1/customers",
    };
  }
  if (url.includes("/v1/models/m")) return { id: "m", object: "model" };
  if (url.includes("/v1/models")) return { object: "list", data: [{ id: "m1" }, { id: "m2" }] };
  if (url.includes("/users")) return [{ id: 1, name: "ann" }];
  return { v: 1, url };
}
