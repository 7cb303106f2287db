/**
 * G10: a violation never repeats a value that its contract marks secret, nor does any library's own
 * wording bring a value in. The schemas here fail with messages that quote their input.
 */
import { inspect } from "node:util";
import { type } from "arktype";
import fc from "fast-check";
import { ContractViolation, hindcast, type Schema } from "hindcast";
import * as v from "valibot";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { onlyCapsuleOf } from "../record/recorded.js";

/** Everything a log line, an error tracker or a response could show of a violation, as one text. */
function shownOf(schema: Schema, value: unknown): string {
  const hc = hindcast({ service: "secrets", keep: [] });
  const stage = hc.tool({ name: "s", input: schema }, () => "met");
  let error: unknown;
  try {
    stage(value);
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toBeInstanceOf(ContractViolation);
  const violation = error as ContractViolation;
  return [
    violation.message,
    violation.stack,
    String(violation),
    JSON.stringify(violation),
    JSON.stringify(violation.issues),
    inspect(violation, { depth: 20, showHidden: true }),
  ].join("\n");
}

/** Not to be found by chance in a message, a path or a stack. */
const secrets = fc
  .string({
    minLength: 6,
    maxLength: 24,
    unit: fc.constantFrom(..."abcdefghjkmnpqrstuvwxyz23456789".split("")),
  })
  .map((text) => `s3cr3t${text}`);

/** A schema with the value that breaks it. */
interface Case {
  readonly schema: z.ZodType;
  readonly value: unknown;
}

const quoting = { error: (issue: { input?: unknown }) => `cannot be ${JSON.stringify(issue.input)}` };
const marked = { secret: true } as const;

/** Schemas of a secret text, each of which turns it down, quoting it where it can. */
const leaves: readonly (() => z.ZodType)[] = [
  () =>
    z
      .string()
      .refine(() => false, quoting)
      .meta(marked),
  () =>
    z
      .string()
      .meta(marked)
      .refine(() => false, quoting),
  () => z.string().max(1, quoting).meta(marked),
  () => z.string().meta(marked).regex(/^$/, quoting),
  () => z.email(quoting).meta(marked),
  () => z.number(quoting).meta(marked),
  () => z.literal("other", quoting).meta(marked),
  () => z.enum(["a", "b"], quoting).meta(marked),
  () => z.date(quoting).meta(marked),
  () => z.bigint(quoting).meta(marked),
  () => z.custom(() => false, quoting).meta(marked),
  () => z.templateLiteral(["id-", z.number()], quoting).meta(marked),
  () => z.union([z.number(), z.boolean()], quoting).meta(marked),
  () => z.coerce.number(quoting).meta(marked),
  () =>
    z
      .string()
      .meta(marked)
      .transform((text, context) => {
        context.addIssue({ code: "custom", message: `cannot be ${text}` });
        return z.NEVER;
      }),
  () =>
    z
      .string()
      .transform((text) => text)
      .pipe(z.string().refine(() => false, quoting))
      .meta(marked),
  () => z.preprocess((given) => given, z.string().max(1, quoting)).meta(marked),
  () =>
    z
      .string()
      .meta(marked)
      .optional()
      .refine(() => false, quoting),
];

/** Ways to stand around a secret, with its mark on it or on what is around it. */
const surroundings: readonly ((inner: Case) => Case)[] = [
  ({ schema, value }) => ({ schema: z.object({ field: schema }), value: { field: value } }),
  ({ schema, value }) => ({ schema: z.strictObject({ "odd key": schema }), value: { "odd key": value } }),
  ({ schema, value }) => ({ schema: z.array(schema), value: [value, value] }),
  ({ schema, value }) => ({ schema: z.tuple([z.number(), schema]), value: [1, value] }),
  ({ schema, value }) => ({ schema: z.tuple([z.number()], schema), value: [1, value] }),
  ({ schema, value }) => ({ schema: z.record(z.string(), schema), value: { key: value, "0": value } }),
  ({ schema, value }) => ({ schema: z.object({}).catchall(schema), value: { more: value } }),
  ({ schema, value }) => ({ schema: schema.optional(), value }),
  ({ schema, value }) => ({ schema: schema.nullable(), value }),
  ({ schema, value }) => ({ schema: schema.default(null), value }),
  ({ schema, value }) => ({ schema: schema.prefault(null), value }),
  ({ schema, value }) => ({ schema: schema.readonly(), value }),
  ({ schema, value }) => ({ schema: schema.describe("described"), value }),
  ({ schema, value }) => ({ schema: z.lazy(() => schema), value }),
  ({ schema, value }) => ({ schema: schema.transform((given) => [given]), value }),
  ({ schema, value }) => ({ schema: z.preprocess((given) => given, schema), value }),
  ({ schema, value }) => ({ schema: z.intersection(schema, z.unknown()), value }),
  ({ schema, value }) => ({ schema: z.union([schema, schema.describe("again")]), value }),
  ({ schema, value }) => ({
    schema: z.discriminatedUnion("kind", [
      z.object({ kind: z.literal("a"), own: schema }),
      z.object({ kind: z.literal("b") }),
    ]),
    value: { kind: "a", own: value },
  }),
  ({ schema, value }) => {
    // A tree whose nodes hold the secret: a schema that refers to itself.
    const Tree: z.ZodType = z.object({
      held: schema.optional(),
      get children() {
        return z.array(z.lazy(() => Tree));
      },
    });
    return { schema: Tree, value: { children: [{ children: [{ held: value, children: [] }] }] } };
  },
  ({ schema, value }) => ({ schema: z.map(z.string(), schema), value: new Map([["key", value]]) }),
];

describe("zod: a place marked .meta({ secret: true })", () => {
  test("the cases are not vacuous: every leaf turns its text down, and most quote it", () => {
    const quoted = leaves.filter((leaf) => {
      const result = leaf().safeParse("s3cr3t-text");
      expect(result.success).toBe(false);
      return JSON.stringify(result.error?.issues).includes("s3cr3t-text");
    });
    expect(quoted.length).toBeGreaterThan(leaves.length - 4);
  });

  test("however it is nested, however it fails: the value is nowhere in the violation", () => {
    fc.assert(
      fc.property(
        secrets,
        fc.nat(leaves.length - 1),
        fc.array(fc.nat(surroundings.length - 2), { maxLength: 5 }),
        (secret, leaf, around) => {
          let one: Case = { schema: leaves[leaf]!(), value: secret };
          for (const index of around) one = surroundings[index]!(one);
          expect(shownOf(one.schema, one.value)).not.toContain(secret);
        },
      ),
      { numRuns: 600 },
    );
  });

  test.each(surroundings.map((around, index) => [index, around] as const))(
    "surrounding %i, with each leaf",
    (_index, around) => {
      for (const leaf of leaves) {
        const { schema, value } = around({ schema: leaf(), value: "s3cr3t-text" });
        expect(shownOf(schema, value)).not.toContain("s3cr3t-text");
      }
    },
  );

  test("a mark above covers all below", () => {
    const Card = z.object({
      number: z.string().max(1, quoting),
      holder: z.object({ pin: z.string().max(1, quoting) }),
    });
    const shown = shownOf(z.object({ card: Card.meta(marked) }), {
      card: { number: "s3cr3t-number", holder: { pin: "s3cr3t-pin" } },
    });
    expect(shown).not.toContain("s3cr3t");
    expect(shown).toContain("$.card.holder.pin");
  });

  test("a check above that speaks of a secret below is withheld", () => {
    const Login = z
      .object({ user: z.string(), password: z.string().meta(marked) })
      .refine(() => false, { error: (issue) => `wrong: ${(issue.input as { password: string }).password}` });
    expect(shownOf(Login, { user: "u", password: "s3cr3t-text" })).not.toContain("s3cr3t-text");
  });

  test("a secret that is a key, of a record or a Map, is not in the path", () => {
    const Key = z.string().max(3).meta(marked);
    expect(shownOf(z.record(Key, z.number()), { "s3cr3t-key": 1 })).not.toContain("s3cr3t-key");
    expect(shownOf(z.record(z.string().meta(marked), z.number()), { "s3cr3t-key": "x" })).not.toContain(
      "s3cr3t-key",
    );
    expect(shownOf(z.map(Key, z.number()), new Map([["s3cr3t-key", 1]]))).not.toContain("s3cr3t-key");
  });

  test("a set of secrets", () => {
    const Secrets = z.set(z.string().max(1, quoting).meta(marked));
    expect(shownOf(Secrets, new Set(["s3cr3t-text"]))).not.toContain("s3cr3t-text");
  });

  test("a schema that has no JSON Schema to look for marks in says nothing rather than too much", () => {
    const Ambiguous = z.object({
      password: z
        .string()
        .max(1, quoting)
        .meta({ ...marked, id: "same" }),
      other: z.number().meta({ id: "same" }),
    });
    expect(shownOf(Ambiguous, { password: "s3cr3t-text", other: 1 })).not.toContain("s3cr3t-text");
  });

  test("the mark says so, and nothing else of the violation is lost", () => {
    const Login = z.object({ user: z.string(), password: z.string().min(99).meta(marked) });
    const hc = hindcast({ service: "secrets", keep: [] });
    const stage = hc.tool({ name: "login", input: Login }, () => 1);
    expect(() => stage({ user: 5 as never, password: "short" })).toThrow(
      'The input of stage "login" breaks its contract: at $.user expected string, received number; ' +
        "at $.password expected a valid secret, received string.",
    );
  });

  test("neither is it in the violations of the capsule", async () => {
    const hc = hindcast({ service: "secrets", contracts: "observe" });
    const Login = z.object({ password: z.string().max(1, quoting).meta(marked) });
    hc.tool({ name: "login", input: Login }, () => 1)({ password: "s3cr3t-text" });
    const capsule = await onlyCapsuleOf(hc);
    expect(capsule.violations).toHaveLength(1);
    expect(JSON.stringify(capsule.violations)).not.toContain("s3cr3t-text");
  });
});

describe("without any mark, a library's own wording does not bring the value in", () => {
  const zod: readonly (readonly [string, Schema])[] = [
    ["type", z.number()],
    ["length", z.string().max(1)],
    ["format", z.email()],
    ["regex", z.string().regex(/^$/)],
    ["literal", z.literal("a")],
    ["enum", z.enum(["a", "b"])],
    ["union", z.union([z.number(), z.object({ a: z.string() })])],
    ["coercion", z.coerce.number()],
    ["refine", z.string().refine(() => false)],
    ["template", z.templateLiteral(["a", z.number()])],
    ["date", z.coerce.date()],
  ];
  const valibot: readonly (readonly [string, Schema])[] = [
    ["type", v.number()],
    ["length", v.pipe(v.string(), v.maxLength(1))],
    ["email", v.pipe(v.string(), v.email())],
    ["uuid", v.pipe(v.string(), v.uuid())],
    ["regex", v.pipe(v.string(), v.regex(/^$/))],
    ["literal", v.literal("a")],
    ["picklist", v.picklist(["a", "b"])],
    ["union", v.union([v.number(), v.boolean()])],
    [
      "check",
      v.pipe(
        v.string(),
        v.check(() => false),
      ),
    ],
    ["custom", v.custom(() => false)],
  ];
  const arktype: readonly (readonly [string, Schema])[] = [
    ["type", type("number")],
    ["length", type("string <= 1")],
    ["email", type("string.email")],
    ["regex", type("/^$/")],
    ["literal", type("'a'")],
    ["enum", type("'a' | 'b'")],
    ["union", type("number | boolean")],
    ["parse", type("string.numeric.parse")],
    ["json", type("string.json.parse")],
    ["narrow", type("string").narrow(() => false)],
    ["two at once", type("string <= 1").and("string.email")],
  ];
  const all = [
    ...zod.map(([how, schema]) => [`zod ${how}`, schema] as const),
    ...valibot.map(([how, schema]) => [`valibot ${how}`, schema] as const),
    ...arktype.map(([how, schema]) => [`arktype ${how}`, schema] as const),
  ];

  test.each(all)("%s", (_how, schema) => {
    expect(shownOf(schema, "the-value-itself")).not.toContain("the-value-itself");
  });

  test("arktype: an object that fits no branch of a union", () => {
    const Either = type({ x: "number" }).or({ x: "boolean" });
    expect(shownOf(Either, { x: "the-value-itself" })).not.toContain("the-value-itself");
  });
});

test("arktype: a place configured as secret is one, its author's own wording included", () => {
  const Password = type("string")
    .narrow((text, context) => context.reject(`not ${text}`))
    .configure({ secret: true } as never);
  expect(shownOf(type({ password: Password }), { password: "s3cr3t-text" })).not.toContain("s3cr3t-text");
});

test("a JSON Schema of any library may carry the mark", () => {
  const marking: Schema = {
    "~standard": {
      version: 1,
      vendor: "other",
      validate: (value) => ({
        issues: [{ message: `cannot be ${JSON.stringify(value)}`, path: [{ key: "a" }, "b"] }],
      }),
      jsonSchema: {
        input: () => ({ $ref: "#/$defs/x~1y", $defs: { "x/y": { properties: { a: { secret: true } } } } }),
        output: () => ({}),
      },
    } as Schema["~standard"],
  };
  expect(shownOf(marking, { a: { b: "s3cr3t-text" } })).not.toContain("s3cr3t-text");
});
