import { computesPromise, type Method } from "./computed.js";
import { patch, resemble, type Undo } from "./patch.js";

/** What compiles on other threads. The types of Node have no `WebAssembly`. */
export function patchWebAssembly(): Undo[] {
  const functions = Reflect.get(globalThis, "WebAssembly") as Record<string, Method>;
  return ["compile", "instantiate", "compileStreaming", "instantiateStreaming"]
    .filter((name) => name in functions)
    .map((name) => patch(functions, name, (original) => createCompile(name, original)));
}

function createCompile(name: string, original: Method): Method {
  const computes = computesPromise("computation", `WebAssembly.${name}`, original);
  const compile: Method = function (...input) {
    return Reflect.apply(isAskedByPlatform(compile) ? original : computes, this, input);
  };
  return resemble(compile, original);
}

/** The platform compiles parts of itself when they are first used (that of `fetch`, say): once in a process, and for nobody. */
function isAskedByPlatform(substitute: Method): boolean {
  const place = { stack: "" };
  Error.captureStackTrace(place, substitute);
  try {
    return (String(place.stack).split("\n")[1] ?? "").includes("node:internal/");
  } catch {
    return false; // whoever writes stacks out in this process has failed
  }
}
