/**
 * Measures every budget and prints them beside what was measured. The long form writes `results/long.json` and the tables of
 * `docs/performance.md`; `--short` takes less than a minute and writes `packages/.cache/short.json` alone.
 */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { cpus, loadavg, release, type } from "node:os";
import { dirname, join } from "node:path";
import { repositoryRoot } from "../tools/entry-points.js";
import { sizesOf } from "../tools/entry-size.js";
import { budgetRows } from "./budget.js";
import { benchRoot, buildPrograms, cacheDirectory } from "./build.js";
import type { CallCosts } from "./measures/measure-calls.js";
import { measureCalls } from "./measures/measure-calls.js";
import { measureService } from "./measures/measure-service.js";
import type { PartFigures } from "./measures/part-figures.js";
import type { ReplayFigures } from "./measures/replay-figures.js";
import type { StoreFigures } from "./measures/store-figures.js";
import { report, type Results } from "./report.js";

const isShort = process.argv.includes("--short");
const LINES = ["22", "24", "26"] as const;
const PAGE = join(repositoryRoot, "docs/performance.md");
const FEW = ["bare", "open-telemetry", "langfuse", "hindcast", "hindcast-file", "hindcast-off"] as const;
const FEW_PAYLOADS = ["object", "prompt", "tensor"] as const;

const started = performance.now();
const load = loadavg()[0] as number;
const say = (what: string): void =>
  console.error(`bench: ${((performance.now() - started) / 1000).toFixed(0)} s: ${what}`);

say("building");
const program = await buildPrograms();

function figuresOf<Figures>(name: string): Figures {
  const args = [program(name), ...(isShort ? ["short"] : [])];
  return JSON.parse(
    execFileSync(process.execPath, args, { encoding: "utf8", cwd: repositoryRoot }),
  ) as Figures;
}

say("calls");
const calls = await measureCalls({
  program: program("contender-process"),
  ...(isShort
    ? { rounds: 3, milliseconds: 40, warmUpMilliseconds: 500, only: FEW, payloads: FEW_PAYLOADS }
    : { rounds: 8, milliseconds: 100, warmUpMilliseconds: 1_000 }),
});
say("parts");
const parts = figuresOf<PartFigures>("parts-process");
say("stores");
const store = figuresOf<StoreFigures>("store-process");
say("replay");
const replay = figuresOf<ReplayFigures>("replay-process");
say("a service under load");
const service = await measureService({
  service: program("service-process"),
  load: program("load-process"),
  rate: 300,
  ...(isShort ? { rounds: 1, seconds: 2 } : { rounds: 5, seconds: 3 }),
});
const lines: Record<string, CallCosts> = {};
for (const line of isShort ? [] : LINES) {
  say(`Node ${line}`);
  const node = executableOf(line);
  if (node === undefined) continue;
  lines[node.version] = await measureCalls({
    program: program("contender-process"),
    command: [node.path],
    rounds: 5,
    milliseconds: 80,
    warmUpMilliseconds: 1_000,
    only: FEW,
    payloads: FEW_PAYLOADS,
  });
}

const results: Results = {
  machine: {
    node: process.versions.node,
    processor: cpus()[0]?.model ?? "unknown",
    cores: cpus().length,
    platform: `${type()} ${release()}`,
    load: [load, loadavg()[0] as number],
    date: new Date().toISOString().slice(0, 10),
  },
  calls,
  parts,
  store,
  replay,
  service,
  coreBytes: (await sizesOf("hindcast")).atStart,
  lines,
};
const file = isShort ? join(cacheDirectory, "short.json") : join(benchRoot, "results/long.json");
mkdirSync(dirname(file), { recursive: true });
writeFileSync(file, `${JSON.stringify(results, undefined, 1)}\n`);
const text = report(results);
if (!isShort) writeFileSync(PAGE, withGenerated(readFileSync(PAGE, "utf8"), text));
console.log(text);
const rows = budgetRows(results).filter(({ held }) => held !== undefined);
say(`${rows.filter(({ held }) => held === true).length} of ${rows.length} budgets held; figures in ${file}`);

/** The text between the two comments of a page, replaced. */
function withGenerated(page: string, generated: string): string {
  const [begin, end] = ["<!-- begin: npm run bench -->", "<!-- end: npm run bench -->"];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from === -1 || to < from) throw new Error(`${PAGE} has no place for the figures: ${begin} … ${end}`);
  return `${page.slice(0, from + begin.length)}\n\n${generated}\n\n${page.slice(to)}`;
}

/** Another line of Node, from npm; undefined, and said so, where it does not come. */
function executableOf(line: string): { readonly path: string; readonly version: string } | undefined {
  try {
    const print = "console.log(JSON.stringify({ path: process.execPath, version: process.versions.node }))";
    const output = execFileSync("npx", ["--yes", "--package", `node@${line}`, "node", "-e", print], {
      encoding: "utf8",
    });
    return JSON.parse(output) as { path: string; version: string };
  } catch (error) {
    say(`Node ${line} does not run here: ${String(error)}`);
    return undefined;
  }
}
