/** Modules that make ids from a pool or a counter, as the program imports or requires them: each id is an effect. */
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { captureIds, ID_MODULES } from "../../src/ambient/id-makers.js";
import { repositoryRoot } from "../tools/entry-points.js";
import { runNode } from "../tools/run-process.js";

/** They keep what such modules keep. */
const FILES: Readonly<Record<string, string>> = {
  "node_modules/nanoid/package.json": '{ "name": "nanoid", "type": "module", "exports": "./index.js" }',
  "node_modules/nanoid/index.js": `
    export const customAlphabet = (alphabet, size = 4) => {
      let pool = "";
      return (length = size) => {
        if (pool.length < length) {
          const bytes = crypto.getRandomValues(new Uint8Array(50));
          pool = Array.from(bytes, (byte) => alphabet[byte % alphabet.length]).join("");
        }
        const id = pool.slice(0, length);
        pool = pool.slice(length);
        return id;
      };
    };
    export const nanoid = customAlphabet("abcdefgh");
    export const urlAlphabet = "abcdefgh";`,
  "node_modules/uuid/package.json": '{ "name": "uuid", "main": "./index.js" }',
  "node_modules/uuid/index.js": `
    let last = 0, count = 0;
    exports.v7 = (options, target) => {
      const now = Date.now();
      if (now > last) { last = now; count = 0; } else count += 1;
      if (target === undefined) return last + "-" + count;
      target[0] = count;
      return target;
    };
    exports.v3 = (text) => "v3 " + text;`,
  "node_modules/bson/package.json": '{ "name": "bson", "type": "module", "exports": "./index.js" }',
  "node_modules/bson/index.js": `
    let count = 0;
    export class ObjectId {
      static generate() { return Uint8Array.of(count += 1); }
      constructor() { this.id = ObjectId.generate(); }
    }`,
  "draws.mjs": `
    import { hindcast } from "hindcast";
    import { explain, readCapsule, replay } from "hindcast/replay";
    import { customAlphabet, nanoid, urlAlphabet } from "nanoid";
    import uuid, { v3, v7 } from "uuid";
    import { ObjectId } from "bson";
    const hc = hindcast({ service: "s", logger: { warn() {} } });
    const digits = customAlphabet("01", 3);
    const entry = hc.pipeline({ name: "entry" }, async (long) => {
      const target = new Uint8Array(2);
      if (v7(undefined, target) !== target) throw new Error("another target");
      return [nanoid(), nanoid(long), digits(), v7(), v3("x"), target, new ObjectId().id, urlAlphabet, typeof uuid.v7];
    });
    for (let count = 0; count < 4; count++) await entry(7);
    await Promise.all([entry(5), entry(6), entry(7)]);
    nanoid();
    await hc.flush();
    const said = { identical: 0, exact: 0, other: [] };
    for await (const stored of hc.store.find()) {
      if (readCapsule(stored).replayable.exact) said.exact += 1;
      const result = await replay(stored, entry);
      if (result.verdict === "identical") said.identical += 1;
      else said.other.push(explain(result));
    }
    await hc.close();
    console.log(JSON.stringify(said));`,
};

let folder = "";
beforeAll(() => {
  folder = realpathSync(mkdtempSync(join(tmpdir(), "hindcast-ids-")));
  for (const [path, text] of Object.entries(FILES)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  symlinkSync(repositoryRoot, join(folder, "node_modules/hindcast"));
});
afterAll(() => rmSync(folder, { recursive: true }));

async function draw(...execArgv: readonly string[]): Promise<unknown> {
  const tsx = pathToFileURL(join(repositoryRoot, "node_modules/tsx/dist/esm/index.mjs")).href;
  const args = ["--conditions=hindcast-source", "--import", tsx, ...execArgv, join(folder, "draws.mjs")];
  const { output } = await runNode(args, { cwd: folder });
  return JSON.parse(output.slice(output.indexOf("{"))) as unknown;
}

test("with --import hindcast/register they are exact", async () => {
  expect(await draw("--import", "hindcast/register")).toEqual({ identical: 7, exact: 7, other: [] });
});

test("without it they are not, which is noticed, also of runs that draw from a pool alone", async () => {
  const said = (await draw()) as {
    readonly identical: number;
    readonly exact: number;
    readonly other: string[];
  };
  expect(said.identical).toBeLessThan(7);
  expect(said.exact).toBe(0);
  for (const report of said.other) expect(report).toContain("cause     uncontrolled");
});

describe("what is captured of a module", () => {
  test.each(Object.entries(ID_MODULES))(
    "%s: what it does not export is left alone",
    (name, { methods = [] }) => {
      const captures = captureIds(name, {});
      expect(Object.values(captures).filter((one) => one !== undefined)).toEqual([]);
      for (const [exported] of methods) expect(exported).not.toBe("");
    },
  );

  test("a class is captured once, however often it is loaded", () => {
    let count = 0;
    class ObjectId {
      static generate(): number {
        return (count += 1);
      }
    }
    captureIds("bson", { ObjectId });
    const first = Reflect.get(ObjectId, "generate");
    captureIds("mongodb", { ObjectId });
    expect(Reflect.get(ObjectId, "generate")).toBe(first);
    expect([ObjectId.generate(), count]).toEqual([1, 1]);
  });
});
