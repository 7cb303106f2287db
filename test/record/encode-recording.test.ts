/** A recording is written as a capsule without making one: the bytes are those of the capsule that `sealRecording` makes. */
import { crc32 } from "node:zlib";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { decodeCapsule } from "../../src/capsule/decode-capsule.js";
import { encodeCapsule } from "../../src/capsule/encode-capsule.js";
import { encodeValue } from "../../src/capsule/encode-value.js";
import { DEFAULT_LIMITS } from "../../src/capsule/limits.js";
import { takeSnapshot } from "../../src/capsule/snapshot.js";
import { createContract } from "../../src/contract/contract.js";
import { Recording, type RecordingOptions } from "../../src/record/recording.js";
import { encodeRecording, sealRecording } from "../../src/record/seal-recording.js";
import type { Definition } from "../../src/stage/definition.js";
import type { ObservedCall, ObservedRun } from "../../src/stage/seam.js";
import { recordableValues } from "../capsule/recordable-values.js";

function definitionOf(name: string, input?: z.ZodType): Definition {
  return {
    name,
    kind: "tool",
    data: undefined,
    model: undefined,
    input: input && createContract(input, name, "input"),
    output: undefined,
    mode: "observe",
    seed: undefined,
  };
}

const stages = [
  definitionOf("root"),
  definitionOf("étape"),
  definitionOf("checked", z.object({ a: z.int() })),
];

const options: RecordingOptions = {
  revision: undefined,
  captures: ["clock"],
  service: { name: "encoding", version: undefined },
  writer: "test",
  limits: DEFAULT_LIMITS,
  classes: new Set(),
  ended: () => undefined,
  report: () => undefined,
};

interface Step {
  readonly stage: number;
  readonly input: readonly unknown[];
  readonly end: "ok" | "error" | "pending";
  readonly result: unknown;
  readonly isEffect: boolean;
  readonly version: string | undefined;
  readonly violates: boolean;
}

/** A run with a call or an effect for each step. */
function recordingOf(steps: readonly Step[], of = options): Recording {
  const definition = stages[0] as Definition;
  const trace = steps.length % 2 === 0 ? undefined : { traceId: "a".repeat(32), spanId: "b".repeat(16) };
  const run: ObservedRun = { id: "run", seed: 7, startedAt: 1e12, definition, closed: false, trace };
  const recording = new Recording(of);
  const begin = (index: number, step: Pick<Step, "stage" | "input" | "version">): ObservedCall => {
    const call = {
      run,
      definition: index === 0 ? definition : stages[step.stage],
      parent: index === 0 ? undefined : { index: 0 },
      index,
      ordinal: index,
      data: undefined,
      model: step.version === undefined ? undefined : { name: "model", version: step.version },
      asynchronous: index % 2 === 0,
    } as unknown as ObservedCall;
    recording.callStarted(call, step.input, undefined as never);
    return call;
  };
  const root = begin(0, { stage: 0, input: ["begin"], version: undefined });
  let calls = 1;
  for (const [ordinal, step] of steps.entries()) {
    const { end, result } = step;
    const outcome = end === "ok" ? { status: "ok", value: result } : { status: "error", error: result };
    if (step.isEffect) {
      const effect = recording.effectStarted(
        { call: root, name: `effect ${step.stage}`, ordinal },
        step.input,
      );
      if (end !== "pending") recording.effectEnded(effect, outcome as never);
    } else {
      const call = begin(calls++, step);
      if (step.violates) {
        const issues = [{ path: ["a", 0], expected: "integer", received: "string" }];
        recording.contractViolated(call, "input", issues);
      }
      if (end !== "pending") recording.callEnded(call, outcome as never, ordinal % 3 === 0);
    }
  }
  recording.callEnded(root, { status: "ok", value: steps.length }, false);
  recording.runEnded(run);
  return recording;
}

function finish<T>(steps: Generator<undefined, T>): T {
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}

const sizes = fc.constantFrom(1, 100, 129, 1_000, 5_000, 40_000, 70_000, 300_000);
const values = fc.oneof(
  { weight: 8, arbitrary: recordableValues },
  { weight: 2, arbitrary: sizes.map((size) => "é".repeat(size)) },
  { weight: 1, arbitrary: sizes.map((size) => Buffer.alloc(size, size)) },
  {
    weight: 1,
    arbitrary: sizes.map((size) => Array.from({ length: size / 50 }, (_, id) => ({ id, ok: true }))),
  },
);
const someSteps = fc.array(
  fc.record<Step>({
    stage: fc.nat(2),
    input: fc.array(values, { maxLength: 2 }),
    end: fc.constantFrom("ok", "ok", "error", "pending"),
    result: fc.oneof(values, fc.constant(new Error("failed"))),
    isEffect: fc.boolean(),
    version: fc.constantFrom(undefined, "1", "2"),
    violates: fc.boolean(),
  }),
  { maxLength: 12 },
);

test("of any recording, time after time", () => {
  fc.assert(
    fc.property(someSteps, (steps) => {
      const recording = recordingOf(steps);
      const bytes = finish(encodeRecording(recording, "all"));
      const capsule = finish(sealRecording(recording, "all"));
      expect(Buffer.compare(bytes, encodeCapsule(capsule))).toBe(0);
      expect(Buffer.compare(bytes, finish(encodeRecording(recording, "all")))).toBe(0);
      expect(Buffer.compare(bytes, encodeCapsule(decodeCapsule(bytes)))).toBe(0);
    }),
    { numRuns: 200 },
  );
}, 60_000);

test("encodings that go on at the same time do not disturb each other", () => {
  const steps = (fill: string): Step[] => [
    { ...plain(fill.repeat(100_000)), input: [Array.from({ length: 3_000 }, () => ({ fill }))] },
  ];
  const recordings = ["a", "é", "€"].map((fill) => recordingOf(steps(fill)));
  const alone = recordings.map((recording) => finish(encodeRecording(recording, "all")));
  const going = recordings.map((recording) => encodeRecording(recording, "all"));
  const together: Uint8Array[] = [];
  while (together.length < going.length) {
    for (const [index, encoding] of going.entries()) {
      const step = encoding.next();
      if (step.done === true && step.value !== undefined) together[index] = step.value;
    }
  }
  for (const [index, bytes] of together.entries()) {
    expect(Buffer.compare(bytes, alone[index] as Uint8Array), `${index}`).toBe(0);
  }
});

test("one that failed leaves nothing for the next", () => {
  const recording = recordingOf([plain({ a: 1 })]);
  const whole = finish(encodeRecording(recording, "all"));
  class Foreign {}
  const broken = recordingOf([plain({ a: 1 })]);
  const snapshot = { copy: [1, new Foreign()], size: 10, shared: undefined, loss: undefined };
  (broken.contents().calls[1] as { outcome: unknown }).outcome = { status: "ok", value: snapshot };
  expect(() => finish(encodeRecording(broken, "all"))).toThrow("not a copy");
  expect(Buffer.compare(finish(encodeRecording(recording, "all")), whole)).toBe(0);
});

test("what is the same in all capsules of an instance is that instance's", () => {
  const of = (name: string): RecordingOptions => ({ ...options, service: { name, version: name } });
  for (const name of ["one", "other", "one"]) {
    const { service } = decodeCapsule(finish(encodeRecording(recordingOf([], of(name)), "all")));
    expect(service).toEqual({ name, version: name });
  }
});

test("a stage is told with the version of the run, whichever came before", () => {
  for (const version of ["1", "2", undefined, "1"]) {
    const recording = recordingOf([{ ...plain(1), version }]);
    const { stages: told } = decodeCapsule(finish(encodeRecording(recording, "all")));
    expect(told[1]?.model?.version).toBe(version);
  }
});

function plain(result: unknown): Step {
  return { stage: 1, input: [], end: "ok", result, isEffect: false, version: undefined, violates: false };
}

/** How many different values are in the capsule of a run with these results. */
function valuesOf(results: readonly unknown[]): readonly Uint8Array[] {
  const bytes = finish(encodeRecording(recordingOf(results.map(plain)), "all"));
  return decodeCapsule(bytes).values;
}

function bytesOf(value: unknown): Buffer {
  return Buffer.from(encodeValue(takeSnapshot(value, DEFAULT_LIMITS)));
}

describe("values of equal bytes are there once, and no others", () => {
  const marked = (length: number, place: number): Buffer => {
    const bytes = Buffer.alloc(length);
    bytes[place] = 1;
    return bytes;
  };

  test.each([8, 100, 200, 5_000, 40_000, 100_000, 600_000])("of %i bytes, wherever they differ", (length) => {
    const places = [0, 1, length >> 1, (length >> 1) + 1, length - 1];
    const results = [...places, ...places].map((place) => marked(length, place));
    const found = valuesOf(results);
    for (const place of places) {
      const bytes = bytesOf(marked(length, place));
      expect(found.filter((value) => bytes.equals(value)).length, `${place}`).toBe(1);
    }
    expect(found.length).toBe(places.length + 2); // what the root was given and returned
  });

  test("of the same checksum and the same ends", () => {
    // What divides CRC-32's polynomial makes no difference to it: 33 bits, the highest power first.
    const polynomial = 0x104c1_1db7n;
    const other = Buffer.alloc(1_000);
    for (let power = 32n; power >= 0n; power--) {
      const bit = Number(32n - power);
      const isSet = ((polynomial >> power) & 1n) === 1n;
      if (isSet) other[500 + (bit >> 3)] = (other[500 + (bit >> 3)] as number) | (1 << (bit & 7));
    }
    const one = Buffer.alloc(1_000);
    expect(one.equals(other)).toBe(false);
    const third = marked(1_000, 600);
    expect(crc32(bytesOf(one))).toBe(crc32(bytesOf(other)));
    // The first of those that look alike is found without a checksum.
    const found = valuesOf([third, one, other, one, other, third]);
    expect(found.length).toBe(3 + 2);
  });

  test("of many", () => {
    const many = Array.from({ length: 3_000 }, (_, index) => ({ index: index % 1_500 }));
    expect(valuesOf(many).length).toBe(1_500 + 2);
    const alike = Array.from({ length: 600 }, (_, index) => ({
      before: "x".repeat(100),
      index: 1_000 + (index % 300),
      after: "x".repeat(100),
    }));
    expect(valuesOf(alike).length).toBe(300 + 2);
  });
});
