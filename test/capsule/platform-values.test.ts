/** The platform's own values as they come back from a record: heads, whose content is read as an effect. */
import { describe, expect, test } from "vitest";
import { decodeValue } from "../../src/capsule/decode-value.js";
import { encodeValue } from "../../src/capsule/encode-value.js";
import { DEFAULT_LIMITS, type Limits } from "../../src/capsule/limits.js";
import { Marker } from "../../src/capsule/marker.js";
import { RecordedStream } from "../../src/capsule/recorded-stream.js";
import { reviveRequest, reviveResponse } from "../../src/capsule/revive-platform.js";
import { takeSnapshot } from "../../src/capsule/snapshot.js";
import { firstDifference } from "../../src/replay/difference.js";
import { formatValue } from "../../src/replay/format-value.js";

const roundTrip = <T>(value: T): T => decodeValue(encodeValue(takeSnapshot(value, DEFAULT_LIMITS))) as T;
const absent = { code: "content-not-recorded" };

describe("G1: taking a copy changes nothing", () => {
  test("a body is still there to be read, once", async () => {
    const request = new Request("http://a/b", { method: "POST", body: '{"a":1}' });
    const response = new Response("text");
    const blob = new Blob(["blob"]);
    takeSnapshot([request, response, blob], DEFAULT_LIMITS);
    expect([request.bodyUsed, response.bodyUsed, request.body?.locked]).toEqual([false, false, false]);
    expect(await request.json()).toEqual({ a: 1 });
    expect(await response.text()).toBe("text");
    expect(await blob.text()).toBe("blob");
  });

  test("after it was read, too", async () => {
    const request = new Request("http://a/b", { method: "POST", body: "x" });
    await request.text();
    expect(takeSnapshot(request, DEFAULT_LIMITS).loss).toBeUndefined();
    expect(roundTrip(request).method).toBe("POST");
  });
});

describe("G4: a head says what the value said", () => {
  test("of a Request", () => {
    const request = roundTrip(
      new Request("https://a.example/b?c#d", {
        method: "PUT",
        body: "x",
        headers: { "x-a": "1" },
        redirect: "error",
      }),
    );
    expect(request).toBeInstanceOf(Request);
    expect([request.method, request.url, request.redirect]).toEqual([
      "PUT",
      "https://a.example/b?c#d",
      "error",
    ]);
    expect([...request.headers]).toEqual([
      ["content-type", "text/plain;charset=UTF-8"],
      ["x-a", "1"],
    ]);
    expect(request.body).toBeInstanceOf(ReadableStream);
    expect(request.bodyUsed).toBe(false);
    expect(new Request(request).url).toBe(request.url);
  });

  test("of a Response of a status with which none can be made, from a URL, cloned and recorded again", () => {
    const headers = new Headers([["set-cookie", "a=1"]]);
    // What a server answered: fields that no program can set on one.
    const fields = { status: 101, url: "http://a/b", redirected: true, type: "basic" };
    const head = reviveResponse({ statusText: "", headers, body: false, ...fields });
    for (const value of [head, head.clone(), roundTrip(head)]) {
      expect(value).toBeInstanceOf(Response);
      expect(value).toMatchObject(fields);
      expect([value.ok, value.body, value.headers.getSetCookie()]).toEqual([false, null, ["a=1"]]);
    }
  });

  test("of a Request in a mode with which none can be made", () => {
    const fields = { method: "GET", url: "http://a/", mode: "navigate", referrer: "http://b/" };
    const request = reviveRequest({ ...fields, headers: new Headers(), body: false });
    expect(request).toMatchObject(fields);
  });

  test("of an error Response", () => {
    expect(roundTrip(Response.error())).toMatchObject({ status: 0, type: "error", ok: false });
  });

  test("of a File in a form, under the names of both", () => {
    const form = new FormData();
    form.append("scan", new File(["%PDF"], "scan.pdf", { type: "application/pdf", lastModified: 5 }));
    form.append("scan", "none");
    const [file, text] = roundTrip(form).getAll("scan");
    expect(file).toBeInstanceOf(File);
    expect(file).toMatchObject({ size: 4, name: "scan.pdf", type: "application/pdf", lastModified: 5 });
    expect(text).toBe("none");
  });

  test("of an AbortSignal, in its state", () => {
    const reason = new TypeError("closed");
    const signal = roundTrip(AbortSignal.abort(reason));
    expect(signal.aborted).toBe(true);
    expect(() => signal.throwIfAborted()).toThrow("closed");
    const live = roundTrip(new AbortController().signal);
    expect([live instanceof AbortSignal, live.aborted]).toEqual([true, false]);
  });

  test("of a stream that the recorder has put in its place", () => {
    const stream = roundTrip(new RecordedStream("byte-stream", { highWaterMark: 0 }));
    expect(stream).toEqual(new RecordedStream("byte-stream", { highWaterMark: 0 }));
  });
});

describe("G5: reading content that is not in the record fails, and says why", () => {
  test.each(["text", "arrayBuffer"] as const)("Blob.%s", async (method) => {
    await expect(roundTrip(new Blob(["x"]))[method]()).rejects.toMatchObject(absent);
  });

  test("of a slice, of a File, of a stream", async () => {
    const blob = roundTrip(new File(["0123456789"], "digits"));
    for (const [start, end, size] of [
      [2, 5, 3],
      [-3, undefined, 3],
      [8, 4, 0],
      [undefined, undefined, 10],
      [0, 99, 10],
    ] as const) {
      const part = blob.slice(start, end, "text/plain");
      expect([part.size, part.type]).toEqual([size, "text/plain"]);
      await expect(part.text()).rejects.toMatchObject(absent);
    }
    await expect(blob.stream().getReader().read()).rejects.toMatchObject(absent);
  });

  test.each(["text", "json", "arrayBuffer", "blob", "formData"] as const)(
    "Request.%s and Response.%s",
    async (method) => {
      const request = roundTrip(
        new Request("http://a", { method: "POST", body: new URLSearchParams("a=1") }),
      );
      const response = roundTrip(new Response(new URLSearchParams("a=1")));
      await expect(request.clone()[method]()).rejects.toMatchObject(absent);
      await expect(request[method]()).rejects.toMatchObject(absent);
      await expect(response[method]()).rejects.toMatchObject(absent);
      expect([request.bodyUsed, response.bodyUsed]).toEqual([true, true]);
    },
  );
});

describe("G7, G8: what is not kept is said", () => {
  test.each<[string, object]>([
    ["a subclass", new (class Order extends Request {})("http://a")],
    ["a field of its own", Object.assign(new Request("http://a"), { user: "u1" })],
  ])("%s", (_name, value) => {
    expect(takeSnapshot(value, DEFAULT_LIMITS).loss).toMatchObject({ kind: "class" });
    expect(roundTrip(value)).toBeInstanceOf(Request);
  });

  test("one that is over a limit is a marker, and what stands beside it is kept", () => {
    const limits: Limits = { ...DEFAULT_LIMITS, entries: 3, valueBytes: 500 };
    const many = new URLSearchParams("a=1&b=2&c=3&d=4");
    const snapshot = takeSnapshot([many, new Headers({ a: "x".repeat(600) }), 7], limits);
    expect(decodeValue(encodeValue(snapshot))).toEqual([
      new Marker("entries", "URLSearchParams"),
      new Marker("bytes", "Headers"),
      7,
    ]);
    expect(snapshot.loss).toMatchObject({ kind: "told", path: [0] });
  });

  test("a live stream is a marker", () => {
    const values = [new ReadableStream(), (function* () {})()];
    for (const value of values) {
      expect(takeSnapshot(value, DEFAULT_LIMITS).copy).toMatchObject({ reason: "unsupported" });
    }
  });
});

describe("G6: the first difference", () => {
  const form = (...pairs: [string, string | Blob][]): FormData => {
    const made = new FormData();
    for (const [name, value] of pairs) made.append(name, value);
    return made;
  };
  const request = (init: RequestInit = {}): Request => new Request("http://a/b", init);
  const file = (content: string, name = "n", lastModified = 0): File =>
    new File([content], name, { lastModified });

  test.each<[string, unknown, unknown]>([
    ["Headers", new Headers({ a: "1" }), new Headers({ A: "1" })],
    ["a form", form(["a", "1"], ["f", file("x")]), form(["a", "1"], ["f", file("y", "n", 9)])],
    ["a Blob", new Blob(["x"]), new Blob(["y"])],
    ["a Request", request(), request()],
    ["a Response", new Response("x"), new Response("y")],
    ["an AbortSignal", AbortSignal.abort("a"), AbortSignal.abort("b")],
    ["search parameters", new URLSearchParams("a=1"), new URLSearchParams([["a", "1"]])],
    ["a stream", new RecordedStream("generator"), new RecordedStream("generator")],
    [
      "a head and a live one",
      roundTrip(request({ method: "POST", body: "x" })),
      request({ method: "POST", body: "y" }),
    ],
  ])("is none between two that are the same in what counts: %s", (_name, one, other) => {
    expect(firstDifference({ at: one }, { at: other })).toBeUndefined();
    expect(firstDifference(roundTrip(one), roundTrip(other))).toBeUndefined();
  });

  test.each<[string, unknown, unknown, (string | number)[]]>([
    ["a header", new Headers({ a: "1", b: "2" }), new Headers({ a: "1", b: "3" }), ["b"]],
    ["one that is missing", new Headers({ a: "1", b: "2" }), new Headers({ a: "1" }), ["b"]],
    [
      "a cookie",
      new Response("", {
        headers: [
          ["set-cookie", "a"],
          ["set-cookie", "b"],
        ],
      }),
      new Response("", {
        headers: [
          ["set-cookie", "a"],
          ["set-cookie", "c"],
        ],
      }),
      ["headers", "set-cookie", 1],
    ],
    ["a field of a form", form(["a", "1"]), form(["a", "2"]), ["a"]],
    ["the order of a form", form(["a", "1"], ["b", "2"]), form(["b", "2"], ["a", "1"]), ["(order)"]],
    ["a file of a form", form(["f", file("x")]), form(["f", file("x", "m")]), ["f", "name"]],
    ["the size of a Blob", new Blob(["x"]), new Blob(["xy"]), ["size"]],
    ["a method", request(), request({ method: "DELETE" }), ["method"]],
    ["a body", request({ method: "POST" }), request({ method: "POST", body: new Uint8Array(1) }), ["body"]],
    ["a signal of a Request", request(), request({ signal: AbortSignal.abort() }), ["signal"]],
    ["a status", new Response(null, { status: 200 }), new Response(null, { status: 404 }), ["status"]],
    ["an AbortSignal", AbortSignal.abort(), new AbortController().signal, []],
    ["search parameters", new URLSearchParams("a=1&b=2"), new URLSearchParams("b=2&a=1"), []],
    ["the kind of a stream", new RecordedStream("generator"), new RecordedStream("iterable"), ["kind"]],
  ])("is found: %s", (_name, one, other, path) => {
    expect(firstDifference(one, other)?.path).toEqual(path);
    expect(firstDifference(roundTrip(one), roundTrip(other))?.path).toEqual(path);
  });
});

test("they are shown in a few words", () => {
  const form = new FormData();
  form.append("a", "b");
  const values = {
    request: new Request("http://a/b", { method: "POST", body: "x" }),
    response: new Response("x", { status: 404, statusText: "Not Found" }),
    headers: new Headers({ a: "b" }),
    form,
    stream: new RecordedStream("byte-stream"),
  };
  expect(formatValue(roundTrip(values), 200)).toBe(
    "{ request: Request POST http://a/b, response: Response 404 Not Found, headers: Headers { a: 'b' }, form: FormData { a: 'b' }, stream: <byte-stream> }",
  );
});
