/** Figures as tables in Markdown. */
import { type BudgetRow, budgetRows, eachOf, type Figures, us } from "./budget.js";
import type { CallCost, CallCosts } from "./measures/measure-calls.js";
import type { PartFigures } from "./measures/part-figures.js";
import type { ServiceCost } from "./measures/measure-service.js";
import { PAYLOADS, type PayloadName, payloads } from "./payloads.js";
import { table } from "./table.js";

export interface Machine {
  readonly node: string;
  readonly processor: string;
  readonly cores: number;
  readonly platform: string;
  /** Load of the machine in the last minute, before and after. */
  readonly load: readonly [number, number];
  readonly date: string;
}

export interface Results extends Figures {
  readonly machine: Machine;
  readonly parts: PartFigures;
  /** The shorter series on other lines of Node, by version. */
  readonly lines: Readonly<Record<string, CallCosts>>;
}

export function report(results: Results): string {
  const { machine, calls, lines } = results;
  const sections = [
    `Measured on ${machine.date} with Node ${machine.node} on ${machine.processor}, ${machine.cores} cores, ${machine.platform}; ` +
      `load of the machine ${machine.load.map((one) => one.toFixed(1)).join(" before, ")} after. ` +
      `Main thread: ${calls.clock}. Medians; where a range is given, quartiles.`,
    "### Budgets",
    budgetTable(budgetRows(results)),
    "### A call, until the caller has its result",
    callTable(calls, ({ path }) => path.median),
    "### A call, with all that comes after it on the main thread",
    callTable(calls, ({ whole }) => whole.median),
    absentees(calls),
    "### Spread of a call (quartiles)",
    callTable(calls, undefined),
    "### What parts of the work take by themselves",
    "Main thread, whoever does it with the means of Node. The trace is that of one run; its value is one application.",
    partTable(results),
    "### Stores",
    storeTables(results),
    "### Growth",
    growthTables(results),
    "### A service under load",
    serviceTable(results),
    ...(Object.keys(lines).length === 0 ? [] : ["### Other lines of Node", lineTable(results)]),
  ];
  return sections.filter((section) => section !== "").join("\n\n");
}

function partTable({ parts: { parts } }: Results): string {
  return table(
    ["", ...PAYLOADS.map((name) => payloads[name].title)],
    Object.entries(parts).map(([part, byPayload]) => [
      part,
      ...PAYLOADS.map((name) => {
        const nanoseconds = byPayload[name];
        return nanoseconds === undefined ? "" : us(nanoseconds);
      }),
    ]),
  );
}

export function budgetTable(rows: readonly BudgetRow[]): string {
  return table(
    ["figure", "measured", "budget", "held"],
    rows.map(({ figure, measured, budget, held }) => [
      figure,
      measured,
      budget ?? "",
      held === undefined ? "" : held ? "yes" : "**no**",
    ]),
  );
}

function callTable(calls: CallCosts, of: ((cost: CallCost) => number) | undefined): string {
  const measured = PAYLOADS.filter((name) => calls.costs["bare"]?.[name] !== undefined);
  const cell = (contender: string, name: PayloadName): string => {
    const cost = calls.costs[contender]?.[name];
    if (cost === undefined) return "";
    if (of === undefined) return `${us(cost.path.lowerQuartile)} to ${us(cost.path.upperQuartile)}`;
    const base = calls.costs["open-telemetry"]?.[name];
    const ratio = base === undefined ? "" : ` (${(of(cost) / of(base)).toFixed(1)}×)`;
    return us(of(cost)) + ratio;
  };
  return table(
    ["", ...measured.map((name) => payloads[name].title)],
    Object.keys(calls.costs).map((contender) => [
      `${contender} ${calls.versions[contender] ?? ""}`.trim(),
      ...measured.map((name) => cell(contender, name)),
    ]),
  );
}

function absentees({ absent, lost }: CallCosts): string {
  const lines = [
    ...Object.entries(absent).map(([name, reason]) => `- ${name} did not run: ${reason}`),
    ...Object.entries(lost)
      .filter(([, count]) => count > 0)
      .map(([name, count]) => `- ${name} dropped ${count} records while it was measured`),
  ];
  return lines.join("\n");
}

function storeTables({ store }: Results): string {
  return [
    table(
      ["into", "runs/s", "bytes a capsule", "lost"],
      store.rates.map((rate) => [
        rate.store,
        Math.round(rate.runs),
        Math.round(rate.bytesPerCapsule),
        rate.lost,
      ]),
    ),
    table(
      ["capsules in the directory", "filled", "`get`", "`find`, 20", "`find`, 1 in 1000", "`find`, all"],
      store.finds.map(({ capsules, append, get, newest, rare, all }) => [
        capsules,
        ...[append, get, newest, rare, all].map((one) => `${one.toFixed(1)} ms`),
      ]),
    ),
  ].join("\n\n");
}

function growthTables({ replay }: Results): string {
  const scale = (what: string, points: Results["replay"]["stages"]): string =>
    table(
      [what, "function alone", "recorded", "replayed"],
      [
        ...points.map(({ count, bare, recorded, replayed }) => [
          count,
          ...[bare, recorded, replayed].map((one) => us(one * 1000)),
        ]),
        ["each", "", us(eachOf(points, "recorded") * 1000), us(eachOf(points, "replayed") * 1000)],
      ],
    );
  return [
    "One run, on the main thread; a recorded one without its encoding, a replayed one with its verdict.",
    scale("stages", replay.stages),
    scale("asynchronous effects", replay.effects),
    scale("synchronous effects", replay.synchronousEffects),
    "Runs of 4 stages and 2 effects at once: main thread for each, encoding included.",
    table(
      ["runs at once", "function alone", "recorded"],
      replay.concurrency.map(({ runs, bare, recorded }) => [runs, us(bare * 1000), us(recorded * 1000)]),
    ),
    `Replays of such a run to its verdict: ${Math.round(replay.replaysPerSecond)} a second.`,
  ].join("\n\n");
}

function serviceTable({ service }: Results): string {
  const row = (name: string, cost: ServiceCost): (string | number)[] => [
    name,
    ...[cost.p50, cost.p99, cost.p999, cost.delayP99, cost.delayMaximum].map(({ median }) =>
      median.toFixed(2),
    ),
    `${(cost.utilization.median * 100).toFixed(0)} %`,
    Math.round(cost.throughput.median),
    cost.requests,
    cost.failed,
    cost.stored,
    cost.lost,
  ];
  return [
    `Fastify, ${service.rate} requests/s for ${service.seconds} s evenly and by turns, OpenTelemetry registered in both; milliseconds from when a request was due.`,
    table(
      [
        "",
        "p50",
        "p99",
        "p99.9",
        "loop delay p99",
        "maximum",
        "loop busy",
        "at full load, requests/s",
        "requests",
        "failed",
        "capsules",
        "lost",
      ],
      [row("without hindcast", service.modes.bare), row("with hindcast, files", service.modes.hindcast)],
    ),
  ].join("\n\n");
}

function lineTable({ machine, calls, lines }: Results): string {
  const all = { [machine.node]: calls, ...lines };
  const shown = ["object", "prompt", "tensor"] as const;
  return table(
    [
      "Node",
      ...shown.map((name) => `${payloads[name].title}: capture over a span`),
      "recording off, over the function",
    ],
    Object.entries(all).map(([node, costs]) => {
      const path = (contender: string, name: PayloadName): number =>
        costs.costs[contender]?.[name]?.path.median ?? Number.NaN;
      return [
        node,
        ...shown.map((name) => {
          const [own, span] = [path("hindcast", name), path("open-telemetry", name)];
          return `${us(own)} / ${us(span)} = ${(own / span).toFixed(1)}×`;
        }),
        us(path("hindcast-off", "object") - path("bare", "object")),
      ];
    }),
  );
}
