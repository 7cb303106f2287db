/** A contract's identity: the same schema, the same hash. */
import { fileURLToPath } from "node:url";
import { type } from "arktype";
import { hindcast, type Schema } from "hindcast";
import * as v from "valibot";
import { expect, test } from "vitest";
import { z } from "zod";
import { onlyCapsuleOf } from "../record/recorded.js";
import { runTypeScript } from "../tools/run-process.js";
import { recordIdentities } from "./recorded-identities.js";

async function identityOf(schema: Schema): Promise<{ name: string; hash: string | undefined } | undefined> {
  const hc = hindcast({ service: "identity", contracts: "observe" });
  hc.tool({ name: "s", input: schema }, () => 1)(undefined);
  return (await onlyCapsuleOf(hc)).stages[0]?.input;
}

const hashOf = async (schema: Schema): Promise<string | undefined> => (await identityOf(schema))?.hash;

test("it is a SHA-256, and names the place, or the schema's own title", async () => {
  expect(await identityOf(z.string())).toEqual({
    name: "s.input",
    hash: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
  });
  expect(await identityOf(z.string().meta({ title: "Name" }))).toMatchObject({ name: "Name" });
  expect(await identityOf(z.string().meta({ id: "Person" }))).toMatchObject({ name: "Person" });
});

test("the same schema written again, or in another order of keys, is the same", async () => {
  const first = z.object({ a: z.string(), b: z.object({ c: z.number(), d: z.boolean() }) });
  const again = z.object({ a: z.string(), b: z.object({ c: z.number(), d: z.boolean() }) });
  const reordered = z.object({ b: z.object({ d: z.boolean(), c: z.number() }), a: z.string() });
  const hash = await hashOf(first);
  expect(await hashOf(again)).toBe(hash);
  expect(await hashOf(reordered)).toBe(hash);
});

test("arktype: the same in another order of keys", async () => {
  expect(await hashOf(type({ b: "number", a: "string" }))).toBe(
    await hashOf(type({ a: "string", b: "number" })),
  );
});

test("a changed schema is another one", async () => {
  const hashes = await Promise.all(
    [
      z.object({ a: z.string() }),
      z.object({ a: z.number() }),
      z.object({ b: z.string() }),
      z.object({ a: z.string().optional() }),
      z.object({ a: z.string().max(3) }),
      z.object({ a: z.string(), b: z.string() }),
      z.object({ a: z.string().meta({ secret: true }) }),
      z.object({ a: z.enum(["x", "y"]) }),
      z.object({ a: z.enum(["x"]) }),
      z.tuple([z.string(), z.number()]),
      z.tuple([z.number(), z.string()]),
    ].map(hashOf),
  );
  expect(new Set(hashes).size).toBe(hashes.length);
  expect(hashes).not.toContain(undefined);
});

test("input and output of a schema that transforms are two", async () => {
  const hc = hindcast({ service: "identity" });
  const Length = z.object({ n: z.coerce.number().default(1) });
  hc.tool({ name: "s", input: Length, output: Length }, (value) => value)({});
  const [stage] = (await onlyCapsuleOf(hc)).stages;
  expect(stage?.input?.hash).not.toBe(stage?.output?.hash);
});

test("a library without JSON Schema gives a name and no hash", async () => {
  expect(await identityOf(v.object({ a: v.string() }))).toEqual({ name: "s.input", hash: undefined });
});

test("stages without contracts have none", async () => {
  const hc = hindcast({ service: "identity" });
  hc.tool({ name: "s" }, () => 1)();
  expect((await onlyCapsuleOf(hc)).stages[0]).toMatchObject({ input: undefined, output: undefined });
});

test("it is the same in another process", async () => {
  const file = fileURLToPath(new URL("identity-process.ts", import.meta.url));
  const { exitCode, output } = await runTypeScript(file, { cwd: process.cwd() });
  expect(exitCode, output).toBe(0);
  const here = await recordIdentities();
  expect(here[1]?.input?.hash).toMatch(/^sha256:/);
  expect(JSON.parse(output)).toEqual(JSON.parse(JSON.stringify(here)));
});
