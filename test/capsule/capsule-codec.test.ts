/** Capsules as bytes: whole ones come back, and no others, whatever was done to them. */
import { crc32 } from "node:zlib";
import { decode, encode } from "cborg";
import fc from "fast-check";
import { hindcast, isHindcastError, memoryStore } from "hindcast";
import { describeCapsule } from "hindcast/replay";
import { beforeAll, describe, expect, test } from "vitest";
import { CAPSULE_FORMAT, type Capsule, callPath, rootCall, stageOf } from "../../src/capsule/capsule.js";
import { NAMED } from "../../src/capsule/copy-nodes.js";
import { decodeCapsule, valueAt } from "../../src/capsule/decode-capsule.js";
import { decodeValue } from "../../src/capsule/decode-value.js";
import { encodeCapsule } from "../../src/capsule/encode-capsule.js";
import { CborWriter, encodeValue } from "../../src/capsule/encode-value.js";
import { DEFAULT_LIMITS } from "../../src/capsule/limits.js";
import { takeSnapshot } from "../../src/capsule/snapshot.js";
import { sampleCapsule } from "../../src/testing/sample-capsule.js";
import { recordLoan, settle } from "../golden/loan.js";
import { prepare, programs } from "../programs/program.js";
import { startRandomServer } from "../programs/random-server.js";
import { recordableValues } from "./recordable-values.js";

const isLong = process.env["HINDCAST_LONG"] === "1";
const RUNS = isLong ? 50_000 : 1_500;

let small: Uint8Array;
let loan: Uint8Array;
beforeAll(async () => {
  small = sampleCapsule({ status: "error", violations: 1 }).bytes;
  loan = settle(await recordLoan()).bytes;
});

/** What decoding gives: a capsule, or the code of a typed error. Anything else is thrown on. */
function open(bytes: Uint8Array): Capsule | string {
  try {
    return decodeCapsule(bytes);
  } catch (error) {
    if (isHindcastError(error)) return error.code;
    throw error;
  }
}

const CODES = ["capsule-damaged", "capsule-newer", "capsule-shape"];

/** Damaged bytes are refused; the one thing that may come out instead is the very same capsule. */
function mustRefuse(bytes: Uint8Array, original: Uint8Array, what: string): void {
  const result = open(bytes);
  if (typeof result === "string") {
    if (!CODES.includes(result)) throw new Error(`${what}: code ${result}`);
  } else if (Buffer.compare(encodeCapsule(result), original) !== 0) {
    throw new Error(`${what}: another capsule came out`);
  }
}

describe("G4, G12: a capsule comes back as it was", () => {
  test("of a run with something of everything in it", () => {
    const capsule = decodeCapsule(loan);
    expect(decodeCapsule(encodeCapsule(capsule))).toEqual(capsule);
    expect(Buffer.compare(encodeCapsule(capsule), loan)).toBe(0);
  });

  test("of random programs", async () => {
    const store = memoryStore();
    const hc = hindcast({ service: "programs", store });
    const perform = async (name: string, delay: number, fails: boolean): Promise<string> => {
      await new Promise((resolve) => setTimeout(resolve, delay));
      if (fails) throw new Error(name);
      return name;
    };
    const sample = fc.sample(programs, { numRuns: isLong ? 300 : 40, seed: 5 });
    await using server = await startRandomServer();
    const entries = sample.map((program) => prepare(hc, program, perform, `${server.url}/codec`).entry);
    await Promise.allSettled(entries.map((entry) => entry(1, AbortSignal.timeout(5))));
    await hc.flush();
    let count = 0;
    // A stage that a loser of a race calls after the end is a root of its own.
    for await (const { bytes, summary } of store.find({ pipeline: "program" })) {
      count += 1;
      const capsule = decodeCapsule(bytes);
      expect(Buffer.compare(encodeCapsule(capsule), bytes)).toBe(0);
      expect(decodeCapsule(encodeCapsule(capsule))).toEqual(capsule);
      expect({ id: summary.id, pipeline: summary.pipeline }).toEqual({
        id: capsule.id,
        pipeline: capsule.pipeline,
      });
    }
    expect(count).toBe(sample.length);
    expect(hc.stats().capsules.lost).toEqual({ queue: 0, codec: 0, store: 0, exit: 0 });
  });

  test("of runs on whatever values", async () => {
    const store = memoryStore({ capacity: 100_000 });
    const hc = hindcast({ service: "values", store });
    const echo = hc.tool({ name: "echo" }, (value: unknown) => value);
    const entry = hc.pipeline({ name: "values" }, (value: unknown) => echo(value));
    const values = fc.sample(recordableValues, { numRuns: isLong ? 3_000 : 200, seed: 9 });
    for (const value of values) entry(value);
    await hc.flush();
    for await (const { bytes } of store.find()) {
      const capsule = decodeCapsule(bytes);
      expect(Buffer.compare(encodeCapsule(capsule), bytes)).toBe(0);
      // What is passed on unchanged is stored once.
      expect(capsule.values).toHaveLength(1);
    }
    expect(hc.stats().capsules).toMatchObject({ stored: values.length, lost: { codec: 0 } });
  });

  test("with names that have no UTF-8", async () => {
    const half = "\ud83d";
    const store = memoryStore();
    const hc = hindcast({ service: `service ${half}`, store });
    const look = hc.effect({ name: `effect ${half}` }, () => 1);
    const entry = hc.infer(
      { name: `stage ${half}`, model: () => ({ name: `model ${half}`, version: half, digest: half }) },
      (_input: unknown) => look(),
    );
    entry(new Map([[half, Symbol("lost")]]));
    await hc.flush();
    for await (const { bytes, summary } of store.find()) {
      const capsule = decodeCapsule(bytes);
      expect(capsule.pipeline).toBe(`stage ${half}`);
      expect(capsule.effects[0]?.name).toBe(`effect ${half}`);
      expect(capsule.replayable.reasons[0]?.message).toContain(half);
      expect(summary.versions).toEqual([`model ${half}@${half}`]);
    }
    expect(hc.stats().capsules).toMatchObject({ stored: 1 });
  });

  test("with versions that are of another type than TypeScript asks for, or is lost and counted", async () => {
    const store = memoryStore();
    const failures: string[] = [];
    const hc = hindcast({ service: "types", store, onError: ({ source }) => failures.push(source) });
    const versions: unknown[] = [
      { name: "m", version: 7 },
      { name: "m" },
      "m@7",
      null,
      5,
      { name: {}, version: [] },
    ];
    for (const version of versions) {
      const infer = hc.infer(
        { name: "risk", model: () => version as { name: string; version: string } },
        (x: number) => x + 1,
      );
      expect(infer(1)).toBe(2);
    }
    await hc.flush();
    const { stored, lost } = hc.stats().capsules;
    expect(stored + lost.codec).toBe(versions.length);
    for await (const { bytes } of store.find()) expect(open(bytes)).toBeTypeOf("object");
  });
});

describe("G9: bytes that were changed are refused", () => {
  test("cut at every byte", () => {
    for (const bytes of [small, loan]) {
      for (let cut = 0; cut < bytes.length; cut++) {
        if (open(bytes.subarray(0, cut)) !== "capsule-damaged") expect.unreachable(`cut at ${cut}`);
      }
    }
  });

  test("with every bit of a small capsule changed", () => {
    for (let index = 0; index < small.length; index++) {
      for (let bit = 0; bit < 8; bit++) {
        const changed = Uint8Array.from(small);
        changed[index] = (changed[index] as number) ^ (1 << bit);
        mustRefuse(changed, small, `bit ${bit} of byte ${index}`);
      }
    }
  });

  test("with every byte of a small capsule replaced", () => {
    const heads = [
      0x00, 0xff, 0xf6, 0xf7, 0x9f, 0xbf, 0x5f, 0x7f, 0x1b, 0x3b, 0x5b, 0x7b, 0x9b, 0xbb, 0xdb, 0xd9,
    ];
    for (let index = 0; index < small.length; index++) {
      for (const head of heads) {
        const changed = Uint8Array.from(small);
        changed[index] = head;
        mustRefuse(changed, small, `byte ${index} replaced by ${head}`);
      }
    }
  });

  test("with bytes changed, cut out, put in and repeated at random", () => {
    fc.assert(
      fc.property(
        fc.nat(loan.length - 1),
        fc.integer({ min: 1, max: 40 }),
        fc.uint8Array({ minLength: 1, maxLength: 40 }),
        fc.constantFrom("change", "cut out", "put in", "repeat", "append"),
        (start, length, bytes, kind) => {
          const [before, stretch, after] = [
            loan.subarray(0, start),
            loan.subarray(start, start + length),
            loan.subarray(start + length),
          ];
          const middle = {
            change: [bytes],
            "cut out": [],
            "put in": [bytes, stretch],
            repeat: [stretch, stretch],
            append: [stretch],
          }[kind];
          const end = kind === "append" ? [after, bytes] : [after];
          const changed = Buffer.concat([before, ...middle, ...end]);
          if (Buffer.compare(changed, loan) !== 0) mustRefuse(changed, loan, kind);
        },
      ),
      { numRuns: RUNS },
    );
  });

  test("of anything at all", () => {
    const start = loan.subarray(0, 14);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(14), (bytes, length) => {
        expect(CODES).toContain(open(bytes));
        expect(CODES).toContain(open(Buffer.concat([start.subarray(0, length), bytes])));
      }),
      { numRuns: RUNS },
    );
  });

  test.each<[string, () => Uint8Array]>([
    ["nothing", () => new Uint8Array()],
    ["two capsules", () => Buffer.concat([small, small])],
    ["JSON", () => Buffer.from('{"format":1}')],
    ["a gzip file", () => Buffer.from("1f8b0800000000000003", "hex")],
    ["an envelope of another name", () => seal(new Uint8Array([0xa0]), { name: "hindsight" })],
    ["an envelope of format 0", () => seal(new Uint8Array([0xa0]), { format: 0 })],
    ["an envelope of format -1", () => seal(new Uint8Array([0xa0]), { format: -1 })],
    [
      "an envelope of format 1.5, of which nobody knows the meaning",
      () => seal(new Uint8Array([0xa0]), { format: 0.5 }),
    ],
    ["a body that is no CBOR", () => seal(new Uint8Array([0xff, 0xff]))],
    ["an array that says it has 2^64 - 1 entries", () => Buffer.from("9bffffffffffffffff", "hex")],
    ["an array that says it has 2^32 entries", () => seal(Buffer.from("9b0000000100000000", "hex"))],
    ["a map that says it has 2^53 entries", () => seal(Buffer.from("bb0020000000000000", "hex"))],
    ["bytes that say they are of 2^40", () => seal(Buffer.from("5b0000010000000000", "hex"))],
    ["a text that says it is of 4 GB", () => seal(Buffer.from("7affffffff", "hex"))],
    ["arrays nested 1,000,000 deep", () => seal(new Uint8Array(1_000_000).fill(0x81))],
    ["maps nested 100,000 deep", () => seal(Buffer.from("a16161".repeat(100_000), "hex"))],
    ["tags nested 1,000,000 deep", () => seal(new Uint8Array(1_000_000).fill(0xc1))],
    ["tags nested 1,000,000 deep without an envelope", () => new Uint8Array(1_000_000).fill(0xc1)],
    ["an array without an end", () => seal(Buffer.from("9f01", "hex"))],
    ["a half-open text", () => seal(Buffer.from("7f6161", "hex"))],
    ["a map of a key twice", () => seal(Buffer.from("a2616101616102", "hex"))],
  ])("%s", (_name, make) => {
    const begun = performance.now();
    expect(open(make())).toBe("capsule-damaged");
    expect(performance.now() - begun).toBeLessThan(1_000);
  });

  test("G12: of a later format: the error says what to do", () => {
    expect(open(seal(new Uint8Array([0xa0]), { format: CAPSULE_FORMAT + 1 }))).toBe("capsule-newer");
    expect(() => decodeCapsule(seal(new Uint8Array([0xa0]), { format: 99 }))).toThrow(
      /format 99.*Update hindcast/s,
    );
    // Whether it is a later one is not to be told from bytes that are damaged.
    const changed = seal(new Uint8Array([0xa0, 0]), { format: CAPSULE_FORMAT + 1 });
    changed[changed.length - 1] = 7;
    expect(open(changed)).toBe("capsule-damaged");
  });
});

/** An envelope with the right checksum around any body: what no accident makes. */
function seal(body: Uint8Array, { name = "hindcast", format = CAPSULE_FORMAT } = {}): Uint8Array {
  const writer = new CborWriter();
  writer.tag(55799);
  writer.array(4);
  writer.text(name);
  writer.number(format);
  writer.number(crc32(body));
  writer.byteString(body);
  return writer.bytes();
}

type Part = Record<string, unknown> | unknown[];

/** The loan's body as plain data, in which parts can be changed. */
function bodyOf(bytes: Uint8Array): Record<string, unknown> {
  const envelope = decode(bytes, { tags: { 55799: (content) => content() } }) as unknown[];
  return decode(envelope[3] as Uint8Array) as Record<string, unknown>;
}

const sealed = (body: unknown): Uint8Array => seal(encode(body));

/** Does everything that one does with a capsule. None of it may fail but for values that cannot be read. */
function use(capsule: Capsule): void {
  rootCall(capsule);
  for (const index of capsule.calls.keys()) {
    stageOf(capsule, index);
    callPath(capsule, index);
  }
  let areReadable = true;
  for (const reference of capsule.values.keys()) {
    try {
      valueAt(capsule, reference);
    } catch (error) {
      if (!isHindcastError(error) || error.code !== "capsule-damaged") throw error;
      areReadable = false;
    }
  }
  if (areReadable) describeCapsule(capsule);
  const again = decodeCapsule(encodeCapsule(capsule));
  expect(again).toEqual(capsule);
}

describe("a body whose checksum is right, but that no recording made, is checked part by part", () => {
  const mustBeTyped = (body: unknown): Capsule | string => {
    const result = open(sealed(body));
    if (typeof result === "string") expect(CODES).toContain(result);
    else use(result);
    return result;
  };

  test("the loan's own body, sealed anew, is read", () => {
    expect(open(sealed(bodyOf(loan)))).toEqual(decodeCapsule(loan));
  });

  test("without any one of its fields", () => {
    const optional = new Set(["trace", "exact", "revision", "captures"]);
    for (const name of Object.keys(bodyOf(loan))) {
      const { [name]: _gone, ...rest } = bodyOf(loan);
      const result = mustBeTyped(rest);
      if (!optional.has(name)) expect([name, result]).toEqual([name, "capsule-shape"]);
    }
  });

  test("with a field that it need not know", () => {
    expect(open(sealed({ ...bodyOf(loan), later: [1, 2] }))).toEqual(decodeCapsule(loan));
  });

  const WRONG: unknown[] = [
    undefined,
    null,
    true,
    0,
    -1,
    1.5,
    1e300,
    2 ** 53 - 1,
    Number.NaN,
    -Infinity,
    2n ** 64n - 1n,
    "",
    "x",
    "__proto__",
    [],
    [[]],
    [1, 2, 3],
    {},
    { length: 9 },
    { __proto__: null, a: 1 },
    new Uint8Array(3),
  ];

  test("with any one field of another type", () => {
    for (const name of Object.keys(bodyOf(loan))) {
      for (const wrong of WRONG) mustBeTyped({ ...bodyOf(loan), [name]: wrong });
    }
  });

  test("with any one part, however deep, of another type, out of range, missing, or twice", () => {
    /** Every place in the body, the values' bytes aside. */
    const places: (readonly (string | number)[])[] = [];
    const walk = (part: unknown, path: readonly (string | number)[]): void => {
      if (typeof part !== "object" || part === null || part instanceof Uint8Array) return;
      for (const key of Array.isArray(part) ? part.keys() : Object.keys(part)) {
        places.push([...path, key]);
        walk((part as Record<string, unknown>)[key], [...path, key]);
      }
    };
    walk(bodyOf(loan), []);
    const change = (
      body: Record<string, unknown>,
      path: readonly (string | number)[],
      kind: string,
      wrong: unknown,
    ): void => {
      let part: Part = body;
      for (const key of path.slice(0, -1)) part = (part as Record<string, Part>)[key] as Part;
      const key = path.at(-1) as keyof Part;
      if (kind === "replace") part[key] = wrong as never;
      else if (Array.isArray(part))
        part.splice(Number(key), 1, ...(kind === "twice" ? [part[key], part[key]] : []));
      else delete part[key];
    };
    const one = fc.record({
      place: fc.nat(places.length - 1),
      kind: fc.constantFrom("replace", "replace", "replace", "missing", "twice"),
      wrong: fc.oneof(fc.constantFrom(...WRONG), fc.integer({ min: -2, max: 60 })),
    });
    fc.assert(
      fc.property(fc.array(one, { minLength: 1, maxLength: 2 }), (changes) => {
        const body = bodyOf(loan);
        for (const { place, kind, wrong } of changes) {
          try {
            change(body, places[place] ?? [], kind, wrong);
          } catch (error) {
            expect(error).toBeInstanceOf(TypeError); // the first change took away where the second was to be
          }
        }
        mustBeTyped(body);
      }),
      { numRuns: RUNS },
    );
  }, 60_000);

  test("with indices that point nowhere, or in a circle", () => {
    const count = (name: string): number => (bodyOf(loan)[name] as unknown[]).length;
    const replaced = (table: string, row: number, column: number, value: unknown): unknown => {
      const body = bodyOf(loan);
      ((body[table] as unknown[][])[row] as unknown[])[column] = value;
      return mustBeTyped(body);
    };
    for (const wrong of [-1, count("stages"), 1e9, 0.5, "0"])
      expect(replaced("calls", 1, 0, wrong)).toBe("capsule-shape");
    for (const wrong of [-1, 1, 2, count("calls"), 1e9])
      expect(replaced("calls", 1, 1, wrong)).toBe("capsule-shape");
    for (const wrong of [0, 1, -2]) expect(replaced("calls", 0, 1, wrong)).toBe("capsule-shape");
    for (const wrong of [[-1], [count("values")], [0, 1e9], 0])
      expect(replaced("calls", 1, 5, wrong)).toBe("capsule-shape");
    for (const wrong of [-1, count("calls"), undefined])
      expect(replaced("effects", 0, 1, wrong)).toBe("capsule-shape");
    for (const wrong of [-1, 3, 99]) expect(replaced("calls", 1, 7, wrong)).toBe("capsule-shape");
    for (const wrong of [-1, count("values")]) expect(replaced("calls", 1, 8, wrong)).toBe("capsule-shape");
    const withEvents = (events: unknown): unknown => mustBeTyped({ ...bodyOf(loan), events });
    for (const wrong of [[-1], [count("calls") * 4], [count("effects") * 4 + 2], [2 ** 33 + 1e6], [1.5]]) {
      expect(withEvents(wrong)).toBe("capsule-shape");
    }
  });

  test("of a table that is there twice, or not at all, or no table", () => {
    for (const name of ["calls", "effects", "events", "values"]) {
      const { [name]: table, ...rest } = bodyOf(loan);
      expect(mustBeTyped(rest)).toBe("capsule-shape");
      for (const wrong of [0, "none", {}, null]) {
        expect(mustBeTyped({ ...rest, [name]: wrong })).toBe("capsule-shape");
      }
      const once = encode(rest);
      const entries = Buffer.concat([encode(name), encode(table)]);
      // A map of fewer than 24 entries has its number in its first byte.
      const twice = Buffer.concat([once, entries, entries]);
      twice.writeUInt8((once[0] as number) + 2, 0);
      expect(open(seal(twice))).toBe("capsule-damaged");
      const last = Buffer.concat([once, entries]);
      last.writeUInt8((once[0] as number) + 1, 0);
      expect(open(seal(last))).toEqual(decodeCapsule(loan));
    }
  });

  test("of tables that are empty, or very long", () => {
    for (const name of ["stages", "calls", "values"]) {
      expect(mustBeTyped({ ...bodyOf(loan), [name]: [] })).toBe("capsule-shape");
    }
    const [row] = bodyOf(loan)["calls"] as unknown[];
    mustBeTyped({
      ...bodyOf(loan),
      calls: [row, ...Array.from({ length: 300 }, (_, parent) => [0, parent, 0, 0, 0, [], 0, 2])],
    });
  });

  test("with a parent, and with one that is none", () => {
    const parent = { id: "p", run: "r", changes: ["seed 1 -> 2"] };
    const child = mustBeTyped({ ...bodyOf(loan), parent: { ...parent, later: 1 } });
    expect(child).toMatchObject({ parent });
    expect(bodyOf(loan)).not.toHaveProperty("parent");
    const wrong = [
      {},
      [],
      "p",
      { ...parent, id: 1 },
      { ...parent, run: undefined },
      { ...parent, changes: [1] },
    ];
    for (const one of wrong) expect(mustBeTyped({ ...bodyOf(loan), parent: one })).toBe("capsule-shape");
  });

  test("of a time that is none", () => {
    for (const startedAt of [Number.NaN, Infinity, 1e300, -1e300])
      mustBeTyped({ ...bodyOf(loan), startedAt });
  });
});

describe("a value that no recording made", () => {
  const mustBeTyped = (bytes: Uint8Array, milliseconds = 500): void => {
    const begun = performance.now();
    try {
      decodeValue(bytes);
    } catch (error) {
      if (!isHindcastError(error) || error.code !== "capsule-damaged") throw error;
    }
    expect(performance.now() - begun).toBeLessThan(milliseconds);
  };

  test("a number, or a value of one byte, is what a library reads, and refused where that refuses it", () => {
    const options = { allowIndefinite: false, allowUndefined: true, rejectDuplicateMapKeys: true };
    const attempt = (read: () => unknown): unknown => {
      try {
        return [read()];
      } catch {
        return "refused";
      }
    };
    const heads = fc.constantFrom(
      ...Array.from({ length: 0x40 }, (_, head) => head),
      0xf4,
      0xf6,
      0xf7,
      0xfa,
      0xfb,
    );
    const bytes = fc
      .tuple(
        fc.oneof(heads, fc.nat(255)),
        fc.oneof(fc.uint8Array({ maxLength: 9 }), fc.uint8Array({ minLength: 8, maxLength: 8 })),
      )
      .map(([head, rest]) => Uint8Array.of(head, ...rest))
      .filter(([head = 0]) => head < 0x40 || head >= 0xf4);
    fc.assert(
      fc.property(bytes, (one) => {
        expect(attempt(() => decodeValue(one))).toStrictEqual(attempt(() => decode(one, options)));
      }),
      { numRuns: RUNS * 3 },
    );
    for (let head = 0; head < 256; head++) {
      const one = Uint8Array.of(head);
      if (head < 0x40 || head >= 0xf4) {
        expect(attempt(() => decodeValue(one))).toStrictEqual(attempt(() => decode(one, options)));
      }
    }
  });

  test("of random bytes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => mustBeTyped(bytes)),
      { numRuns: RUNS * 3 },
    );
  });

  test("of a real one with bytes changed", () => {
    fc.assert(
      fc.property(
        recordableValues,
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (value, changes) => {
          const bytes = encodeValue(takeSnapshot(value, DEFAULT_LIMITS));
          for (const [position, byte] of changes) bytes[position % bytes.length] = byte;
          mustBeTyped(bytes);
        },
      ),
      { numRuns: RUNS },
    );
  });

  const TAGS = [1, 2, 3, 27, 28, 29, 32, 64, 68, 70, 71, 78, 84, 85, 86, 258, 259, 1001, 55799, 4711];
  const NAMES = Object.values(NAMED);
  const items: fc.Arbitrary<Uint8Array> = fc.letrec<{ item: Uint8Array }>((tie) => {
    const item = tie("item");
    const head = (write: (writer: CborWriter) => void): Uint8Array => {
      const writer = new CborWriter();
      write(writer);
      return writer.bytes();
    };
    return {
      item: fc.oneof(
        { depthSize: "small", maxDepth: 5 },
        fc.anything().map((value) => encodeValue(takeSnapshot(value, DEFAULT_LIMITS))),
        fc
          .constantFrom("Error", "DOMException", "Account", "", "__proto__", "bytes", "g")
          .map((text) => head((writer) => writer.text(text))),
        fc.nat(5).map((number) => head((writer) => writer.number(number))),
        fc
          .array(item, { maxLength: 4 })
          .map((list) => Buffer.concat([head((writer) => writer.array(list.length)), ...list])),
        fc
          .array(item, { maxLength: 4 })
          .map((list) =>
            Buffer.concat([head((writer) => writer.map(list.length >> 1)), ...list.slice(list.length & 1)]),
          ),
        fc
          .tuple(fc.constantFrom(...TAGS), item)
          .map(([tag, content]) => Buffer.concat([head((writer) => writer.tag(tag)), content])),
        fc.tuple(fc.constantFrom(...NAMES, "other"), fc.array(item, { maxLength: 4 })).map(([name, list]) =>
          Buffer.concat([
            head((writer) => {
              writer.tag(27);
              writer.array(list.length + 1);
              writer.text(name);
            }),
            ...list,
          ]),
        ),
      ),
    };
  }).item;

  test("of the format's own tags, put together at random", () => {
    fc.assert(
      fc.property(items, (bytes) => mustBeTyped(bytes)),
      { numRuns: RUNS * 3 },
    );
  });

  const hex = (text: string): Uint8Array => Buffer.from(text.replaceAll(" ", ""), "hex");
  const named = (name: string, content: string): Uint8Array =>
    Buffer.concat([hex("d81b 82"), hex((0x60 + name.length).toString(16)), Buffer.from(name), hex(content)]);
  const long = `a1 66 ${Buffer.from("length").toString("hex")} 1a 02faf080`; // { length: 50,000,000 }

  test.each<[string, () => Uint8Array]>([
    ["a Buffer of an object that says it is long", () => named("Buffer", long)],
    ["a text of an object that says it is long", () => named("hindcast.utf16", long)],
    ["an ArrayBuffer of an object that says it is long", () => named("ArrayBuffer", long)],
    ["a bignum of an object that says it is long", () => hex(`c2 ${long}`)],
    ["a Set of an object that says it is long", () => hex(`d90102 ${long}`)],
    ["a Float64Array of an object that says it is long", () => hex(`d856 ${long}`)],
    ["a Buffer of a large number", () => named("Buffer", "1a 7fffffff")],
    ["an ArrayBuffer of a large number", () => named("ArrayBuffer", "1a 7fffffff")],
    ["a bignum of a text", () => hex("c2 6161")],
    ["a Date of a text", () => hex("c1 6161")],
    ["a Date of a bignum", () => hex("c1 c2 41 05")],
    ["a reference to itself", () => hex("d81c d81d 00")],
    ["a reference to nothing", () => hex("d81d 05")],
    ["a negative reference", () => hex("82 d81c 80 d81d 20")],
    ["a reference that is no integer", () => hex("82 d81c 80 d81d f93800")],
    ["a reference to length", () => hex("82 d81c 80 d81d 66 6c656e677468")],
    [
      "an error whose fields are a hole",
      () => named("hindcast.error", "d81b 81 6d 68696e64636173742e686f6c65"),
    ],
    ["a break outside of anything", () => hex("ff")],
    ["an odd Float64Array", () => hex("d856 43 010203")],
    ["a Set of a long text", () => Buffer.concat([hex("d90102 7a 000f4240"), Buffer.alloc(1_000_000, 97)])],
    ["references nested in references", () => hex(`${"d81c 82 d81d 00".repeat(3_000)} 00`)],
    ["shared values nested 500,000 deep", () => Buffer.alloc(1_000_000, hex("d81c"))],
    ["bignums of 1 MB", () => Buffer.concat([hex("c2 5a 000f4240"), Buffer.alloc(1_000_000, 0xff)])],
    [
      "an expression that is none",
      () => hex(`d81b 84 66 ${Buffer.from("RegExp").toString("hex")} 61 28 60 00`),
    ],
  ])("%s", (_name, make) => mustBeTyped(make()));

  test("does not reach a prototype", () => {
    const bytes = encodeValue(takeSnapshot(JSON.parse('{"__proto__": {"polluted": 1}}'), DEFAULT_LIMITS));
    expect(decodeValue(bytes)).not.toHaveProperty("polluted");
    const writer = new CborWriter();
    writer.tag(27);
    writer.array(3);
    writer.text("hindcast.error");
    writer.text("__proto__");
    writer.value(JSON.parse('{"__proto__": {"polluted": 1}, "message": "m"}'));
    const error = decodeValue(writer.bytes());
    expect(error).toBeInstanceOf(Error);
    expect(error).not.toHaveProperty("polluted");
    expect(({} as Record<string, unknown>)["polluted"]).toBeUndefined();
  });
});
