import { knexCapture } from "hindcast/knex";
import { pgCapture } from "hindcast/pg";
import { redisCapture } from "hindcast/redis";
import { sqliteCapture } from "hindcast/sqlite";
import type { Row } from "./row.js";

const connection = { host: "127.0.0.1", port: 5432, user: "postgres", database: "postgres" };
const redisAddress = { host: "127.0.0.1", port: 6379 };

const pgCaptures = async () => ({ pg: pgCapture((await import("pg")).default) });

/** A table of its own for each row, so that rows can be recorded at the same time. */
const table = (name: string) => async (): Promise<void> => {
  const { default: pg } = await import("pg");
  const client = new pg.Client(connection);
  await client.connect();
  await client.query(`drop table if exists ${name}`);
  await client.query(`create table ${name} (id int primary key, name text, chance float8)`);
  await client.query(`insert into ${name} select i, 'user ' || i, random() from generate_series(0, 300) i`);
  await client.end();
};

const PG = "`pgCapture(pg)`";

export const databases: readonly Row[] = [
  {
    name: "pg: queries and a transaction",
    packages: ["pg"],
    servers: ["postgres"],
    madeExact: PG,
    captures: pgCaptures,
    prepare: table("hc_matrix_pg"),
    make: async () => {
      const { default: pg } = await import("pg");
      const pool = new pg.Pool({ ...connection, max: 5 });
      return {
        run: async (id) => {
          const read = await pool.query("select *, random() as r from hc_matrix_pg where id = $1", [id]);
          const client = await pool.connect();
          try {
            await client.query("begin");
            const changed = await client.query(
              "update hc_matrix_pg set chance = random() where id = $1 returning chance",
              [id],
            );
            await client.query("commit");
            return [read.rows as unknown[], changed.rows as unknown[]];
          } finally {
            client.release();
          }
        },
        close: () => pool.end(),
      };
    },
  },
  {
    name: "pg-cursor: a cursor",
    packages: ["pg", "pg-cursor"],
    servers: ["postgres"],
    madeExact: PG,
    captures: pgCaptures,
    prepare: table("hc_matrix_cursor"),
    make: async () => {
      const { default: pg } = await import("pg");
      const { default: Cursor } = await import("pg-cursor");
      const pool = new pg.Pool({ ...connection, max: 5 });
      return {
        run: async (id) => {
          const client = await pool.connect();
          try {
            const cursor = client.query(
              new Cursor("select id, random() as r from hc_matrix_cursor where id >= $1 order by id", [id]),
            );
            const rows = [await cursor.read(3), await cursor.read(2)];
            await cursor.close();
            return rows;
          } finally {
            client.release();
          }
        },
        close: () => pool.end(),
      };
    },
  },
  {
    name: "drizzle-orm: on pg",
    packages: ["pg", "drizzle-orm"],
    servers: ["postgres"],
    madeExact: PG,
    captures: pgCaptures,
    prepare: table("hc_matrix_drizzle"),
    make: async () => {
      const { default: pg } = await import("pg");
      const { drizzle } = await import("drizzle-orm/node-postgres");
      const { doublePrecision, integer, pgTable, text } = await import("drizzle-orm/pg-core");
      const { eq, sql } = await import("drizzle-orm");
      const users = pgTable("hc_matrix_drizzle", {
        id: integer().primaryKey(),
        name: text(),
        chance: doublePrecision(),
      });
      const pool = new pg.Pool({ ...connection, max: 5 });
      const db = drizzle(pool);
      return {
        run: async (id) => [
          await db.select().from(users).where(eq(users.id, id)),
          await db.transaction(async (tx) =>
            tx.update(users).set({ chance: sql`random()` }).where(eq(users.id, id)).returning(),
          ),
        ],
        close: () => pool.end(),
      };
    },
  },
  {
    name: "drizzle-orm: declared",
    packages: ["pg", "drizzle-orm"],
    servers: ["postgres"],
    madeExact: '`hc.effects("db", db, ["select", "update"])`',
    prepare: table("hc_matrix_drizzle_declared"),
    make: async (hc) => {
      const { default: pg } = await import("pg");
      const { drizzle } = await import("drizzle-orm/node-postgres");
      const { doublePrecision, integer, pgTable, text } = await import("drizzle-orm/pg-core");
      const { eq, sql } = await import("drizzle-orm");
      const users = pgTable("hc_matrix_drizzle_declared", {
        id: integer().primaryKey(),
        name: text(),
        chance: doublePrecision(),
      });
      const pool = new pg.Pool({ ...connection, max: 5 });
      const db = hc.effects("db", drizzle(pool), ["select", "update"]);
      return {
        run: async (id) => [
          await db.select().from(users).where(eq(users.id, id)),
          await db.update(users).set({ chance: sql`random()` }).where(eq(users.id, id)).returning(),
        ],
        close: () => pool.end(),
      };
    },
  },
  {
    name: "kysely: on pg",
    packages: ["pg", "kysely"],
    servers: ["postgres"],
    madeExact: PG,
    captures: pgCaptures,
    prepare: table("hc_matrix_kysely"),
    make: async () => {
      const { default: pg } = await import("pg");
      const { Kysely, PostgresDialect, sql } = await import("kysely");
      interface Tables {
        hc_matrix_kysely: { id: number; name: string; chance: number };
      }
      const db = new Kysely<Tables>({
        dialect: new PostgresDialect({ pool: new pg.Pool({ ...connection, max: 5 }) }),
      });
      return {
        run: async (id) => [
          await db.selectFrom("hc_matrix_kysely").selectAll().where("id", "=", id).execute(),
          await db
            .transaction()
            .execute((trx) =>
              trx
                .updateTable("hc_matrix_kysely")
                .set({ chance: sql<number>`random()` })
                .where("id", "=", id)
                .returning("chance")
                .executeTakeFirst(),
            ),
        ],
        close: () => db.destroy(),
      };
    },
  },
  {
    name: "knex: on pg",
    packages: ["pg", "knex"],
    servers: ["postgres"],
    madeExact: "`pgCapture(pg)`, `knexCapture(knex.Client)`",
    captures: async () => ({
      ...(await pgCaptures()),
      knex: knexCapture((await import("knex")).default.Client),
    }),
    prepare: table("hc_matrix_knex"),
    make: async () => {
      const { default: knex } = await import("knex");
      const db = knex({ client: "pg", connection: { ...connection } as object, pool: { min: 0, max: 5 } });
      return {
        run: async (id) => [
          await db("hc_matrix_knex").where({ id }).first<unknown>(),
          await db.transaction((trx) =>
            trx("hc_matrix_knex")
              .where({ id })
              .update({ chance: trx.raw("random()") })
              .returning<unknown[]>("chance"),
          ),
        ],
        close: () => db.destroy(),
      };
    },
  },
  {
    name: "typeorm: a data source made in the run",
    packages: ["pg", "typeorm", "reflect-metadata"],
    servers: ["postgres"],
    madeExact: PG,
    captures: pgCaptures,
    prepare: table("hc_matrix_typeorm"),
    make: async () => {
      const { default: pg } = await import("pg");
      const { DataSource, EntitySchema } = await import("typeorm");
      const User = new EntitySchema<{ id: number; name: string; chance: number }>({
        name: "User",
        tableName: "hc_matrix_typeorm",
        columns: {
          id: { type: Number, primary: true },
          name: { type: String },
          chance: { type: "double precision" },
        },
      });
      return {
        run: async (id) => {
          const source = new DataSource({
            type: "postgres",
            driver: pg,
            host: connection.host,
            port: connection.port,
            username: connection.user,
            database: connection.database,
            entities: [User],
          });
          await source.initialize();
          try {
            const users = source.getRepository(User);
            const user = await users.findOneByOrFail({ id });
            user.chance = Math.random();
            return {
              saved: { ...(await users.save(user)) },
              count: await users.countBy({ name: user.name }),
            };
          } finally {
            await source.destroy();
          }
        },
      };
    },
  },
  {
    name: "ioredis: commands, a pipeline, a transaction",
    packages: ["ioredis"],
    servers: ["redis"],
    madeExact: "`redisCapture(Redis)`",
    captures: async () => ({ redis: redisCapture((await import("ioredis")).Redis) }),
    make: async () => {
      const { Redis } = await import("ioredis");
      const redis = new Redis({ ...redisAddress, lazyConnect: true });
      return {
        run: async (id) => {
          const key = `hc:matrix:ioredis:${id}`;
          await redis.set(key, String(Math.random()));
          return [
            await redis.get(key),
            await redis.incr("hc:matrix:ioredis"),
            await redis.pipeline().get(key).incr("hc:matrix:ioredis").exec(),
            await redis.multi().incr("hc:matrix:ioredis").time().exec(),
          ];
        },
        close: () => redis.quit(),
      };
    },
  },
  ...[false, true].map(
    (declared): Row => ({
      name: `redis: commands, a transaction; the first run connects${declared ? ", declared" : ""}`,
      packages: ["redis"],
      servers: ["redis"],
      madeExact: `\`redisCapture(redis)\`${declared ? ', `hc.shared("connect", connect)`' : ""}`,
      captures: async () => ({ redis: redisCapture(await import("redis")) }),
      make: async (hc) => {
        const { createClient } = await import("redis");
        const client = createClient({ socket: redisAddress });
        client.on("error", (error) => console.error(error));
        let connecting: Promise<void> | undefined;
        const connect = (): Promise<void> => (connecting ??= client.connect().then(() => undefined));
        const connected = declared ? hc.shared("connect", connect) : connect;
        return {
          run: async (id) => {
            await connected();
            const key = `hc:matrix:redis:${id}`;
            await client.set(key, String(Math.random()));
            return [
              await client.get(key),
              await client.incr("hc:matrix:redis"),
              await client.multi().get(key).incr("hc:matrix:redis").exec(),
            ];
          },
          close: () => (client.isOpen ? client.close() : undefined),
        };
      },
    }),
  ),
  {
    name: "better-sqlite3: statements and a transaction",
    packages: ["better-sqlite3"],
    madeExact: "`sqliteCapture(Database)`",
    captures: async () => ({ sqlite: sqliteCapture((await import("better-sqlite3")).default) }),
    make: async () => {
      const { default: Database } = await import("better-sqlite3");
      const database = new Database(":memory:");
      database.exec("create table users (id integer primary key, name text)");
      return {
        run: async (id) => {
          const add = database.transaction((name: string) => {
            database.prepare("insert into users (name) values (?)").run(name);
            return database.prepare("select count(*) as count, random() as r from users").get();
          });
          return [add(`user ${id}`), database.prepare("select * from users order by id desc limit 2").all()];
        },
        close: () => database.close(),
      };
    },
  },
  {
    name: "@supabase/postgrest-js: select, insert",
    packages: ["@supabase/postgrest-js"],
    madeExact: "nothing",
    make: async (_hc, { http }) => {
      const { PostgrestClient } = await import("@supabase/postgrest-js");
      const client = new PostgrestClient(http);
      return {
        run: async (id) => {
          const found = await client.from("rows").select("id, chance").eq("id", id);
          const added = await client.from("rows").insert({ id }).select();
          return [found.data, found.status, added.data] as unknown;
        },
      };
    },
  },
];
