/**
 * The arrows of the design as a table, and a checker over a map of files. Pure: it reads no disk.
 *
 * 1. An import points to a lower layer, or stays inside its own folder. Type-only imports count.
 * 2. No cycle between files, whatever the layers say.
 * 3. What a layer may import from outside (I/O, span APIs, packages) is stated below, rule by rule.
 */
import { posix } from "node:path";
import { builtinModules } from "node:module";
import { parseSync, Visitor } from "oxc-parser";

/** From low to high. Folders of one row do not import one another, unless the row says so. */
const layers: readonly { folders: readonly string[]; siblings?: "may import one another" }[] = [
  { folders: ["."] }, // small pure helpers: every file directly in src that is not named below
  { folders: ["capsule"] },
  { folders: ["stores"] },
  {
    folders: [
      "contract",
      "stage",
      "effects",
      "ambient",
      "streams",
      "capture",
      "http",
      "pg",
      "redis",
      "undici",
      "sqlite",
      "mcp",
      "knex",
    ],
    siblings: "may import one another",
  },
  { folders: ["record", "telemetry"] },
  { folders: ["hindcast*.ts + index.ts"] }, // composition
  { folders: ["replay"] },
  { folders: ["testing", "vitest", "register"] },
];

const compositionFiles = new Set(["hindcast.ts", "hindcast-options.ts", "index.ts"]);

/** The part of the OpenTelemetry API that carries context. All the rest concerns spans, and is telemetry's. */
const contextNames = new Set(["context", "createContextKey", "ROOT_CONTEXT", "propagation", "Context"]);

/** What reaches disk, network or another process. */
const inputOutput = new Set(
  "fs fs/promises net tls dgram dns dns/promises http https http2 child_process cluster worker_threads readline inspector repl sqlite"
    .split(" ")
    .map((name) => `node:${name}`),
);

/** `ambient` patches the module, and touches no file. */
const fileFolders = new Set(["stores", "ambient"]);
/** Reads which revision of its source a process runs, once. */
const fileReaders = new Set(["record/code-revision.ts"]);

interface Packages {
  dependencies: readonly string[];
  peers: readonly string[];
}

interface Violation {
  file: string;
  line: number;
  rule: string;
}

interface Import {
  specifier: string;
  line: number;
  /** True where nothing remains at run time: `import type`, `export type`, `import("x").T`. */
  isErased: boolean;
  /** Imported names; `*` for a namespace. */
  names: string[];
}

interface ParsedFile {
  imports: Import[];
  starLines: number[];
}

function parse(file: string, source: string): ParsedFile {
  const { module, program, errors } = parseSync(file, source);
  const firstError = errors[0];
  if (firstError) throw new Error(`${file}: ${firstError.message}`);
  const lineAt = (offset: number): number => source.slice(0, offset).split("\n").length;
  const isErased = (offset: number): boolean => /^(?:import|export)\s+type\b/.test(source.slice(offset));
  const imports: Import[] = [];
  const starLines: number[] = [];

  for (const { start, moduleRequest, entries } of module.staticImports) {
    const names = entries.map(
      ({ importName }) => importName.name ?? (importName.kind === "Default" ? "default" : "*"),
    );
    imports.push({ specifier: moduleRequest.value, line: lineAt(start), isErased: isErased(start), names });
  }
  for (const { start, entries } of module.staticExports) {
    for (const { moduleRequest, importName } of entries) {
      if (!moduleRequest) continue;
      const isStar = importName.kind === "All" || importName.kind === "AllButDefault";
      if (isStar) starLines.push(lineAt(start));
      const names = [importName.name ?? (isStar ? "*" : "default")];
      imports.push({ specifier: moduleRequest.value, line: lineAt(start), isErased: isErased(start), names });
    }
  }
  for (const { start, moduleRequest } of module.dynamicImports) {
    const literal = /^(["'`])(.*)\1$/.exec(source.slice(moduleRequest.start, moduleRequest.end));
    if (literal?.[2] === undefined) continue; // computed: a module of the user's own
    imports.push({ specifier: literal[2], line: lineAt(start), isErased: false, names: ["*"] });
  }
  new Visitor({
    TSImportType(node) {
      imports.push({ specifier: node.source.value, line: lineAt(node.start), isErased: true, names: ["*"] });
    },
  }).visit(program);
  return { imports, starLines };
}

/** `stage/wrap.ts` -> `stage`; files directly in src are helpers or composition. */
function folderOf(file: string): string {
  if (compositionFiles.has(file)) return "hindcast*.ts + index.ts";
  return file.includes("/") ? file.slice(0, file.indexOf("/")) : ".";
}

const layerOf = (folder: string): number => layers.findIndex(({ folders }) => folders.includes(folder));

function arrowProblem(from: string, to: string): string | undefined {
  if (from === to) return undefined;
  const fromLayer = layerOf(from);
  const toLayer = layerOf(to);
  if (toLayer < fromLayer) return undefined;
  if (toLayer > fromLayer)
    return `${from} (layer ${fromLayer}) may not import ${to} (layer ${toLayer}), which is above it`;
  if (layers[fromLayer]?.siblings) return undefined;
  return `${from} and ${to} share a layer and may not import one another`;
}

function outsideProblem(
  file: string,
  { specifier, names, isErased }: Import,
  packages: Packages,
): string | undefined {
  const folder = folderOf(file);
  if (specifier.startsWith("node:")) {
    if (folder === "capsule" && inputOutput.has(specifier))
      return `capsule is pure and may not import ${specifier}`;
    if (!fileFolders.has(folder) && !fileReaders.has(file) && /^node:fs(?:\/|$)/.test(specifier))
      return `only stores may import ${specifier}`;
    return undefined;
  }
  const packageName = specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
  if (builtinModules.includes(packageName)) return `write node:${specifier}`;
  if (![...packages.dependencies, ...packages.peers].includes(packageName)) {
    return `${packageName} is neither a dependency nor a peer dependency`;
  }
  if (packageName === "zod" && !isErased) return "zod may be imported by `import type` only";
  if (packageName === "vitest" && folder !== "vitest") return "only vitest/ may import vitest";
  if (packageName === "@opentelemetry/api" && folder !== "telemetry") {
    const spanNames = names.filter((name) => !contextNames.has(name));
    if (spanNames.length > 0) return `only telemetry may import ${spanNames.join(", ")} from ${specifier}`;
  }
  return undefined;
}

/** Each cycle once, as a path that ends where it starts. */
function cycles(graph: ReadonlyMap<string, readonly string[]>): string[][] {
  const found: string[][] = [];
  const finished = new Set<string>();
  const path: string[] = [];
  const visit = (file: string): void => {
    const at = path.indexOf(file);
    if (at >= 0) found.push([...path.slice(at), file]);
    if (at >= 0 || finished.has(file)) return;
    path.push(file);
    for (const next of graph.get(file) ?? []) visit(next);
    path.pop();
    finished.add(file);
  };
  for (const file of graph.keys()) visit(file);
  return found;
}

/** `files`: from path below src (`stage/wrap.ts`) to source text. */
export function checkArchitecture(files: ReadonlyMap<string, string>, packages: Packages): Violation[] {
  const violations: Violation[] = [];
  const graph = new Map<string, string[]>();
  for (const [file, source] of files) {
    const folder = folderOf(file);
    const targets: string[] = [];
    graph.set(file, targets);
    const report = (line: number, rule: string | undefined): void => {
      if (rule !== undefined) violations.push({ file, line, rule });
    };
    if (layerOf(folder) < 0) report(1, `folder ${folder} has no layer: add it to the table`);

    const { imports, starLines } = parse(file, source);
    for (const line of starLines) report(line, "export names by hand, not with export *");
    for (const found of imports) {
      if (!found.specifier.startsWith(".")) {
        report(found.line, outsideProblem(file, found, packages));
        continue;
      }
      const target = posix.join(posix.dirname(file), found.specifier).replace(/\.js$/, ".ts");
      if (!found.specifier.endsWith(".js"))
        report(found.line, `write the extension .js in ${found.specifier}`);
      else if (!files.has(target)) report(found.line, `${found.specifier} leads to no file of src`);
      else {
        targets.push(target);
        report(found.line, arrowProblem(folder, folderOf(target)));
      }
    }
  }
  for (const cycle of cycles(graph)) {
    violations.push({ file: cycle[0] ?? "", line: 1, rule: `import cycle: ${cycle.join(" -> ")}` });
  }
  return violations;
}
