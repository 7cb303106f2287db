import { hindcast } from "hindcast";
import { afterEach, expect, test } from "vitest";

/** What `reflect-metadata` puts on the global `Reflect`: notes by object, and no property of it. */
function loadMetadata(): Required<Metadata> {
  const notes = new WeakMap<object, Map<unknown, unknown>>();
  const metadata: Required<Metadata> = {
    getOwnMetadataKeys: (target) => [...(notes.get(target)?.keys() ?? [])],
    getOwnMetadata: (key, target) => notes.get(target)?.get(key),
    defineMetadata(key, value, target) {
      notes.set(target, (notes.get(target) ?? new Map<unknown, unknown>()).set(key, value));
    },
  };
  Object.assign(Reflect, metadata);
  return metadata;
}

interface Metadata {
  getOwnMetadataKeys?: (target: object) => unknown[];
  getOwnMetadata?: (key: unknown, target: object) => unknown;
  defineMetadata?: (key: unknown, value: unknown, target: object) => void;
}

afterEach(() => {
  const metadata = Reflect as Metadata;
  delete metadata.getOwnMetadataKeys;
  delete metadata.getOwnMetadata;
  delete metadata.defineMetadata;
});

test("what decorators have noted of a method is known of the stage, in either order", () => {
  const { defineMetadata, getOwnMetadata } = loadMetadata();
  const hc = hindcast({ service: "metadata" });
  const key = Symbol("roles");
  const noted =
    (name: unknown, value: unknown) =>
    <F extends object>(method: F): F => {
      defineMetadata(name, value, method);
      return method;
    };
  class Controller {
    @noted("path", "/outer")
    @hc.tool({ name: "find" })
    @noted("path", "/inner")
    @noted(key, ["admin"])
    find(id: number): number {
      return id;
    }
  }
  const find: unknown = Reflect.get(Controller.prototype, "find");
  expect(getOwnMetadata("path", find as object)).toBe("/outer");
  expect(getOwnMetadata(key, find as object)).toEqual(["admin"]);
  expect(Reflect.ownKeys(find as object)).toEqual(["length", "name"]);

  for (const body of [
    noted(key, 1)(() => 1),
    noted(key, 1)(new Proxy(() => 1, {})),
    noted(key, 1)(class {}),
  ]) {
    expect(getOwnMetadata(key, hc.tool({ name: "tool" }, body as () => number))).toBe(1);
    expect(getOwnMetadata(key, hc.effect({ name: "effect" }, body as () => number))).toBe(1);
  }
});
