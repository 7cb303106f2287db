/**
 * Capsules as earlier versions wrote them. Every later version must read them as they were.
 *
 * The files in the `v*` folders are never edited and never made anew: a test that fails here means that
 * capsules on people's disks can no longer be read. `make.ts` made them; see there.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { readCapsule } from "hindcast/replay";
import { describe, expect, test } from "vitest";
import { CAPSULE_FORMAT } from "../../src/capsule/capsule.js";
import { decodeCapsule } from "../../src/capsule/decode-capsule.js";
import { encodeCapsule } from "../../src/capsule/encode-capsule.js";
import { recordLoan, settle } from "./loan.js";
import { readPlainly } from "./read-plainly.js";
import { renderCapsule } from "./render-capsule.js";

const folders = readdirSync(import.meta.dirname).filter((name) => /^v\d+$/.test(name));
const capsules = folders.flatMap((folder) =>
  readdirSync(join(import.meta.dirname, folder))
    .filter((name) => name.endsWith(".capsule"))
    .map((name) => `${folder}/${name}`),
);

test("there are files of every format up to the present one", () => {
  expect(folders.toSorted()).toEqual(Array.from({ length: CAPSULE_FORMAT }, (_, index) => `v${index + 1}`));
  expect(capsules.length).toBeGreaterThanOrEqual(folders.length);
});

describe.each(capsules)("G12: %s", (name) => {
  const bytes = readFileSync(join(import.meta.dirname, name));
  const text = readFileSync(join(import.meta.dirname, name.replace(".capsule", ".json")), "utf8");
  // Compared as text as well: the order of keys is part of what was recorded.
  const asText = (rendered: unknown): string => `${JSON.stringify(rendered, null, 2)}\n`;

  test("is read by the library", () => {
    const rendered = renderCapsule(decodeCapsule(bytes));
    expect(rendered).toEqual(JSON.parse(text));
    expect(asText(rendered)).toBe(text);
  });

  test("is read by a plain CBOR reader, with no line of the library", () => {
    const rendered = readPlainly(bytes);
    expect(rendered).toEqual(JSON.parse(text));
    expect(asText(rendered)).toBe(text);
  });

  test("is read through the public entry", async () => {
    expect((await readCapsule(bytes)).id).toBe(decodeCapsule(bytes).id);
  });
});

test("the present version writes what it reads: a capsule of the present format comes out byte for byte", () => {
  const bytes = readFileSync(join(import.meta.dirname, `v${CAPSULE_FORMAT}/loan.capsule`));
  expect(Buffer.compare(encodeCapsule(decodeCapsule(bytes)), bytes)).toBe(0);
});

test("a capsule of the same run recorded now is read plainly as the library reads it", async () => {
  const { bytes } = settle(await recordLoan());
  expect(readPlainly(bytes)).toEqual(renderCapsule(decodeCapsule(bytes)));
});
