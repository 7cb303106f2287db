/** Puts `captureIds` between a program and the modules that make ids, however it loads them. */
import module from "node:module";
import { captureIds, ID_MODULES } from "../ambient/id-makers.js";

/** Under which a module that stands for one finds what it is to export. */
const KEY = "hindcast id makers";
const MARK = "hindcast-ids=";

/** In this process, and once. */
export function installIdHooks(): void {
  Reflect.set(globalThis, Symbol.for(KEY), captureIds);
  patchRequire();
  const { registerHooks } = module as Partial<typeof module> & { registerHooks?: (hooks: Hooks) => unknown };
  if (typeof registerHooks === "function") registerHooks(hooks);
  else module.register(`data:text/javascript,${encodeURIComponent(asynchronousHooks())}`);
}

type Require = (this: unknown, request: string, ...rest: unknown[]) => unknown;

const required = new WeakMap<object, object>();

function patchRequire(): void {
  const loader = module as unknown as { _load: Require };
  const load = loader._load;
  loader._load = function (this: unknown, request, ...rest) {
    const exported: unknown = Reflect.apply(load, this, [request, ...rest]);
    if (!Object.hasOwn(ID_MODULES, request) || !isModule(exported)) return exported;
    const known = required.get(exported);
    if (known !== undefined) return known;
    const captured = exportsOf(request, exported);
    required.set(exported, captured);
    return captured;
  };
}

function isModule(exported: unknown): exported is object {
  return (typeof exported === "object" && exported !== null) || typeof exported === "function";
}

/** What `require` gives: an object of functions, or one function. */
function exportsOf(name: string, exported: object): object {
  const own = typeof exported === "function" ? { default: exported } : (exported as Record<string, unknown>);
  const captures = captureIds(name, own);
  if (typeof exported === "function") return (captures["default"] as object | undefined) ?? exported;
  const descriptors = Object.getOwnPropertyDescriptors(exported);
  for (const [key, value] of Object.entries(captures)) {
    if (value !== undefined)
      descriptors[key] = { value, writable: true, configurable: true, enumerable: true };
  }
  return Object.create(Object.getPrototypeOf(exported) as object | null, descriptors) as object;
}

interface Resolved {
  readonly url: string;
  readonly format?: string | null | undefined;
}
interface Context {
  readonly parentURL?: string | undefined;
  readonly conditions?: readonly string[];
}
interface Hooks {
  resolve(
    specifier: string,
    context: Context,
    next: (specifier: string, context: Context) => Resolved,
  ): unknown;
  load(url: string, context: unknown, next: (url: string, context: unknown) => unknown): unknown;
}

const hooks: Hooks = {
  resolve(specifier, context, next) {
    const resolved = next(specifier, context);
    return isToBeCaptured(specifier, context) ? standInFor(specifier, resolved) : resolved;
  },
  load(url, context, next) {
    const source = sourceOf(url);
    return source === undefined ? next(url, context) : { format: "module", shortCircuit: true, source };
  },
};

function isToBeCaptured(specifier: string, { conditions, parentURL }: Context): boolean {
  if (!Object.hasOwn(ID_MODULES, specifier) || conditions?.includes("require") === true) return false;
  return parentURL === undefined || !parentURL.includes(MARK);
}

function standInFor(specifier: string, { url }: Resolved): object {
  return { url: `${url}?${MARK}${encodeURIComponent(specifier)}`, format: "module", shortCircuit: true };
}

/** The source of what stands for a module. What is exported by name goes before what `export *` gives. */
function sourceOf(url: string): string | undefined {
  const at = url.indexOf(`?${MARK}`);
  if (at < 0) return undefined;
  const original = JSON.stringify(url.slice(0, at));
  const name = decodeURIComponent(url.slice(at + MARK.length + 1));
  const exported = exportedBy(name).map(
    (one, index) =>
      `const e${index} = captures[${JSON.stringify(one)}] ?? original[${JSON.stringify(one)}]; export { e${index} as ${one} };`,
  );
  return [
    `import * as original from ${original};`,
    `export * from ${original};`,
    `const captures = globalThis[Symbol.for(${JSON.stringify(KEY)})](${JSON.stringify(name)}, original);`,
    ...exported,
  ].join("\n");
}

/** Node 20 runs such hooks on a thread of their own, and takes them as a module: the same in text. */
function asynchronousHooks(): string {
  const names = Object.fromEntries(Object.keys(ID_MODULES).map((name) => [name, exportedBy(name)]));
  return `
const MODULES = ${JSON.stringify(names)};
const MARK = ${JSON.stringify(MARK)};
export async function resolve(specifier, context, next) {
  const resolved = await next(specifier, context);
  const isOther = !Object.hasOwn(MODULES, specifier) || context.conditions?.includes("require");
  if (isOther || context.parentURL?.includes(MARK)) return resolved;
  return { url: resolved.url + "?" + MARK + encodeURIComponent(specifier), format: "module", shortCircuit: true };
}
export async function load(url, context, next) {
  const at = url.indexOf("?" + MARK);
  if (at < 0) return next(url, context);
  const original = JSON.stringify(url.slice(0, at));
  const name = decodeURIComponent(url.slice(at + MARK.length + 1));
  const source = [
    "import * as original from " + original + ";",
    "export * from " + original + ";",
    'const captures = globalThis[Symbol.for(${JSON.stringify(KEY)})](' + JSON.stringify(name) + ", original);",
    ...MODULES[name].map((one, index) => "const e" + index + " = captures[" + JSON.stringify(one) + "] ?? original[" + JSON.stringify(one) + "]; export { e" + index + " as " + one + " };"),
  ].join("\\n");
  return { format: "module", shortCircuit: true, source };
}
`;
}

function exportedBy(name: string): readonly string[] {
  const { makers = [], factories = [] } = ID_MODULES[name] ?? {};
  return [...new Set([...makers, ...factories, "default"])];
}
