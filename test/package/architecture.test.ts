import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { packageManifest, repositoryRoot } from "../tools/entry-points.js";
import { checkArchitecture } from "./architecture.js";

const manifest = packageManifest();
const packages = {
  dependencies: Object.keys(manifest.dependencies),
  peers: Object.keys(manifest.peerDependencies),
};

test("src keeps to the layers", () => {
  const root = join(repositoryRoot, "src");
  const names = existsSync(root) ? readdirSync(root, { recursive: true, encoding: "utf8" }) : [];
  const files = new Map(
    names
      .map((name) => name.replaceAll("\\", "/"))
      .filter((name) => name.endsWith(".ts"))
      .map((name) => [name, readFileSync(join(root, name), "utf8")]),
  );
  const violations = checkArchitecture(files, packages);
  expect(violations.map(({ file, line, rule }) => `src/${file}:${line}: ${rule}`)).toEqual([]);
});

/** The rules broken by a handful of made-up files. */
const rules = (files: Record<string, string>): string[] =>
  checkArchitecture(new Map(Object.entries(files)), packages).map(({ rule }) => rule);

describe("the checker", () => {
  test("accepts arrows that point down, and siblings where the table allows them", () => {
    const files = {
      "errors.ts": "export class HindcastError extends Error {}",
      "capsule/encode.ts":
        'import { HindcastError } from "../errors.js"; export const encode = HindcastError;',
      "contract/check.ts": 'import { encode } from "../capsule/encode.js"; export const check = encode;',
      "stage/wrap.ts":
        'import { type Context, context } from "@opentelemetry/api"; import { check } from "../contract/check.js"; export const wrap = (c: Context) => [check, context, c];',
      "hindcast.ts": 'export { wrap } from "./stage/wrap.js";',
      "index.ts": 'export { wrap } from "./hindcast.js"; export type { ZodType } from "zod";',
      "stores/file.ts": 'import { open } from "node:fs/promises"; export const x = open;',
      "telemetry/spans.ts": 'import { trace } from "@opentelemetry/api"; export const x = trace;',
      "comment.ts": '/** import { x } from "./nowhere.js" */ export const text = "import y from \'y\'";',
    };
    expect(rules(files)).toEqual([]);
  });

  const api = { "stage/wrap.ts": "export const wrap = 1; export type Wrap = number;" };
  test.each<[string, Record<string, string>, RegExp]>([
    [
      "an arrow up",
      { ...api, "capsule/a.ts": 'import { wrap } from "../stage/wrap.js";' },
      /capsule.*above it/,
    ],
    [
      "a type-only arrow up",
      { ...api, "stores/a.ts": 'import type { Wrap } from "../stage/wrap.js";' },
      /above it/,
    ],
    [
      "an arrow up in a type",
      { ...api, "errors.ts": 'export type W = import("./stage/wrap.js").Wrap;' },
      /above/,
    ],
    [
      "a re-export from above",
      { ...api, "errors.ts": 'export { wrap } from "./stage/wrap.js";' },
      /above it/,
    ],
    [
      "a dynamic arrow up",
      { ...api, "errors.ts": 'export const w = import("./stage/wrap.js");' },
      /above it/,
    ],
    ["stage to record", { "record/r.ts": "", "stage/a.ts": 'import "../record/r.js";' }, /above it/],
    [
      "record to telemetry",
      { "telemetry/t.ts": "", "record/a.ts": 'import "../telemetry/t.js";' },
      /share a layer/,
    ],
    ["core to replay", { "replay/r.ts": "", "hindcast.ts": 'import "./replay/r.js";' }, /above it/],
    ["an unknown folder", { "misc/a.ts": "" }, /no layer/],
    [
      "spans outside telemetry",
      { "stage/a.ts": 'import { trace } from "@opentelemetry/api";' },
      /import trace/,
    ],
    [
      "span types outside telemetry",
      { "record/a.ts": 'import type { Span } from "@opentelemetry/api";' },
      /Span/,
    ],
    ["the whole API", { "stage/a.ts": 'import * as api from "@opentelemetry/api";' }, /only telemetry.*\*/],
    ["disk in capsule", { "capsule/a.ts": 'import "node:fs";' }, /capsule is pure/],
    ["network in capsule", { "capsule/a.ts": 'import "node:net";' }, /capsule is pure/],
    ["disk outside stores", { "record/a.ts": 'import "node:fs/promises";' }, /only stores/],
    ["a built-in without node:", { "stores/a.ts": 'import "fs";' }, /node:fs/],
    ["a package nobody declared", { "stores/a.ts": 'import "left-pad";' }, /left-pad is neither/],
    ["zod at run time", { "contract/a.ts": 'import { z } from "zod";' }, /zod/],
    ["zod half erased", { "contract/a.ts": 'import { type ZodType } from "zod";' }, /zod/],
    ["vitest outside its entry", { "testing/a.ts": 'import { expect } from "vitest";' }, /vitest/],
    ["export *", { ...api, "index.ts": 'export * from "./stage/wrap.js";' }, /export \*/],
    ["a missing extension", { ...api, "index.ts": 'import "./stage/wrap";' }, /extension/],
    ["a missing file", { "index.ts": 'import "./nowhere.js";' }, /no file/],
    [
      "a cycle in one folder",
      {
        "stage/a.ts": 'import "./b.js";',
        "stage/b.ts": 'import "./c.js";',
        "stage/c.ts": 'import "./b.js";',
      },
      /^import cycle: stage\/b\.ts -> stage\/c\.ts -> stage\/b\.ts$/,
    ],
    [
      "a cycle between siblings",
      { "stage/a.ts": 'import type {} from "../effects/b.js";', "effects/b.ts": 'import "../stage/a.js";' },
      /^import cycle/,
    ],
  ])("finds %s", (_title, files, rule) => {
    expect(rules(files)).toEqual([expect.stringMatching(rule)]);
  });
});
