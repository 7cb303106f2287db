/**
 * Loading of modules within a run. What a module does when it is evaluated happens once in a process, and not in each run: it
 * is no part of the run that happens to be the first, as if it were inside of an effect.
 *
 * `import()` is no function, but Node's loader traces each one as a promise (Node 22 and later), and what traces it can be
 * patched: so it is an effect, performed again in a replay, and ends in its turn whether the module was there or not. Node 20
 * traces nothing. There the loader reads its files through `fs.promises`: they are read at once, as Node 22 does by itself, so
 * that nothing from outside wakes a run.
 */
import diagnostics from "node:diagnostics_channel";
import fs from "node:fs";
import module from "node:module";
import { setImmediateOriginal } from "../originals.js";
import { suspend } from "../stage/scopes.js";
import { captured } from "./captured.js";
import { type Method, nextComputation } from "./computed.js";
import { evaluations } from "./evaluations.js";
import { patch, resemble, type Undo } from "./patch.js";

/** What the loader traces each `import()` by. */
const IMPORT = "tracing:module.import:start";
const LOADER = "node:internal/modules/esm/load";

interface Tracing {
  readonly start?: { readonly name?: unknown };
}

/** Keeps a module's namespace from being looked at, which may have a `then`. */
class Loaded {
  readonly namespace: unknown;

  constructor(namespace: unknown) {
    this.namespace = namespace;
  }
}

export function patchModules(): Undo[] {
  const tracing = Object.getPrototypeOf(diagnostics.tracingChannel("hindcast")) as Record<string, Method>;
  const loading = module as unknown as Record<string, Method>;
  return [
    patch(loading, "_load", createLoad),
    ...(typeof tracing["tracePromise"] === "function" ? [patch(tracing, "tracePromise", createTrace)] : []),
    patch(fs.promises as unknown as Record<string, Method>, "readFile", createRead),
  ];
}

/** `require`. */
function createLoad(original: Method): Method {
  return resemble<Method>(function (...input) {
    if (captured("computation") === undefined) return Reflect.apply(original, this, input);
    return suspend(() => Reflect.apply(original, this, input));
  }, original);
}

function createTrace(original: Method): Method {
  return resemble<Method>(function (...input) {
    const capture = (this as Tracing).start?.name === IMPORT ? captured("computation") : undefined;
    if (capture === undefined) return Reflect.apply(original, this, input);
    const { call, conductor } = capture;
    const load = async (): Promise<Loaded> => new Loaded(await Reflect.apply(original, this, input));
    const loaded = conductor.effect(nextComputation(call, "import"), [], () =>
      suspend(load),
    ) as Promise<unknown>;
    return loaded.then((one) => (one instanceof Loaded ? one.namespace : one));
  }, original);
}

function createRead(original: Method): Method {
  const read: Method = function (...input) {
    if (captured("computation") === undefined || !isAskedByLoader(read))
      return Reflect.apply(original, this, input);
    evaluations.expect(setImmediateOriginal);
    return new Promise((resolve) =>
      resolve(suspend(() => fs.readFileSync(input[0] as URL, input[1] as undefined))),
    );
  };
  return resemble(read, original);
}

function isAskedByLoader(substitute: Method): boolean {
  const place = { stack: "" };
  Error.captureStackTrace(place, substitute);
  try {
    return (String(place.stack).split("\n")[1] ?? "").includes(LOADER);
  } catch {
    return false; // whoever writes stacks out in this process has failed
  }
}
