import { expect, test } from "vitest";
import { field, isInstalled, missing } from "./field.js";

test("a suite that misses something says what", async () => {
  expect(isInstalled("no-such-package")).toBe(false);
  expect(await missing({ packages: ["no-such-package"], node: 99 })).toEqual([
    "package no-such-package",
    "Node 99",
  ]);
  expect(await missing({})).toEqual([]);
});

// CI starts the servers and installs the packages: there nothing is skipped without a word.
test.runIf(process.env["CI"] === "true")("everything that the field tests need is here", async () => {
  expect(await missing({ packages: ["pg", "ioredis"], servers: ["postgres", "redis"] })).toEqual([]);
});

await field("the field", { packages: ["pg"], servers: ["postgres"] }, () => {
  test("a query of pg answers", async () => {
    const { default: pg } = await import("pg");
    const client = new pg.Client({ host: "127.0.0.1", user: "postgres", database: "postgres" });
    await client.connect();
    try {
      expect((await client.query("select 1 as one")).rows).toEqual([{ one: 1 }]);
    } finally {
      await client.end();
    }
  });
});
