/** The budgets, and whether what was measured holds them. */
import type { CallCosts } from "./measures/measure-calls.js";
import type { ReplayFigures, ScalePoint } from "./measures/replay-figures.js";
import type { ServiceCosts } from "./measures/measure-service.js";
import type { StoreFigures } from "./measures/store-figures.js";
import { PAYLOADS, type PayloadName, payloads } from "./payloads.js";

export interface BudgetRow {
  readonly figure: string;
  readonly measured: string;
  /** Undefined where a figure has none and is told beside the others. */
  readonly budget: string | undefined;
  readonly held: boolean | undefined;
}

export interface Figures {
  readonly calls: CallCosts;
  readonly store: StoreFigures;
  readonly replay: ReplayFigures;
  readonly service: ServiceCosts;
  /** Bytes, minified and compressed. */
  readonly coreBytes: number;
}

const PATH_BUDGET = 1.5;
const PATH_PAYLOADS: readonly PayloadName[] = ["object", "prompt", "tensor"];
const OFF_BUDGET_NANOSECONDS = 300;
const WRITE_BUDGET = 0.8;
const EFFECT_BUDGET = 2;
const STAGE_BUDGET = 10;
const DELAY_BUDGET_MILLISECONDS = 1;
const CORE_BUDGET_BYTES = 12_000;

export function budgetRows(figures: Figures): readonly BudgetRow[] {
  return [
    ...pathRows(figures.calls),
    ...offRows(figures.calls),
    ...wholeRows(figures.calls),
    ...sizeRows(figures.store),
    ...writeRows(figures.store),
    ...replayRows(figures.replay),
    delayRow(figures.service),
    {
      figure: "core entry, minified and compressed with brotli",
      measured: `${(figures.coreBytes / 1000).toFixed(2)} kB`,
      budget: `≤ ${CORE_BUDGET_BYTES / 1000} kB`,
      held: figures.coreBytes <= CORE_BUDGET_BYTES,
    },
  ];
}

function measuredPayloads(calls: CallCosts): readonly PayloadName[] {
  return PAYLOADS.filter((name) => calls.costs["hindcast"]?.[name] !== undefined);
}

function pathRows(calls: CallCosts): readonly BudgetRow[] {
  return measuredPayloads(calls).map((name) => {
    const own = calls.costs["hindcast"]?.[name]?.path.median ?? Number.NaN;
    const spans = calls.costs["open-telemetry"]?.[name]?.path.median ?? Number.NaN;
    const hasBudget = PATH_PAYLOADS.includes(name);
    return {
      figure: `span and full capture, over a bare span: ${payloads[name].title}`,
      measured: `${(own / spans).toFixed(2)}× (${us(own)} over ${us(spans)})`,
      budget: hasBudget ? `≤ ${PATH_BUDGET}×` : undefined,
      held: hasBudget ? own / spans <= PATH_BUDGET : undefined,
    };
  });
}

function offRows(calls: CallCosts): readonly BudgetRow[] {
  return measuredPayloads(calls)
    .filter((name) => name !== "trace")
    .map((name) => {
      const own = calls.costs["hindcast-off"]?.[name]?.path.median ?? Number.NaN;
      const bare = calls.costs["bare"]?.[name]?.path.median ?? Number.NaN;
      return {
        figure: `recording off, no SDK, over the function alone: ${payloads[name].title}`,
        measured: us(own - bare),
        budget: `≤ ${us(OFF_BUDGET_NANOSECONDS)}`,
        held: own - bare <= OFF_BUDGET_NANOSECONDS,
      };
    });
}

function wholeRows(calls: CallCosts): readonly BudgetRow[] {
  return measuredPayloads(calls).map((name) => {
    const own = calls.costs["hindcast-file"]?.[name]?.whole.median ?? Number.NaN;
    const other = calls.costs["langfuse"]?.[name]?.whole.median ?? Number.NaN;
    return {
      figure: `main thread for a kept run, encoding and file store included: ${payloads[name].title}`,
      measured: `${us(own)} (${(own / other).toFixed(2)}× of Langfuse's spans alone)`,
      budget: `< ${us(other)}`,
      held: own < other,
    };
  });
}

function sizeRows({ sizes }: StoreFigures): readonly BudgetRow[] {
  return PAYLOADS.flatMap((name) => {
    const { encoded, onDisk, together, onDiskAlone, json } = sizes[name];
    const what = `${payloads[name].title} (JSON: ${json} bytes)`;
    return [
      {
        figure: `capsule as encoded, of its JSON: ${what}`,
        measured: (encoded / json).toFixed(2),
        budget: "≤ 1",
        held: encoded <= json,
      },
      {
        figure: `capsule on disk, default options, appended by ${Math.round(together)}, of its JSON: ${what}`,
        measured: (onDisk / json).toFixed(2),
        budget: "≤ 0.50",
        held: onDisk * 2 <= json,
      },
      {
        figure: `capsule on disk, default options, appended alone, of its JSON: ${what}`,
        measured: (onDiskAlone / json).toFixed(2),
        budget: undefined,
        held: undefined,
      },
    ];
  });
}

function writeRows({ writes }: StoreFigures): readonly BudgetRow[] {
  return writes.map(({ batch, fsync, store, plain }) => ({
    figure: `file store without compression, of plain writes: appends of ${Math.round(batch / 1000)} kB${fsync ? ", fsync" : ""}`,
    measured:
      `${Math.round((store.median / plain.median) * 100)} % ` +
      `(${Math.round(store.median)} of ${Math.round(plain.median)} MB/s)`,
    budget: `≥ ${WRITE_BUDGET * 100} %`,
    held: store.median / plain.median >= WRITE_BUDGET,
  }));
}

function replayRows({ stages, effects, synchronousEffects }: ReplayFigures): readonly BudgetRow[] {
  const row = (what: string, points: readonly ScalePoint[], budget: number): BudgetRow => {
    const each = eachOf(points, "replayed");
    return {
      figure: `replay over the function alone, for each ${what}`,
      measured: `${each.toFixed(1)} µs`,
      budget: `≤ ${budget} µs`,
      held: each <= budget,
    };
  };
  return [
    row("asynchronous effect", effects, EFFECT_BUDGET),
    row("synchronous effect", synchronousEffects, EFFECT_BUDGET),
    row("stage", stages, STAGE_BUDGET),
  ];
}

/** Microseconds that each further stage or effect costs over the function alone. */
export function eachOf(points: readonly ScalePoint[], which: "recorded" | "replayed"): number {
  const first = points[0] as ScalePoint;
  const last = points.at(-1) as ScalePoint;
  return (last[which] - first[which] - (last.bare - first.bare)) / (last.count - first.count);
}

function delayRow({ modes, rate }: ServiceCosts): BudgetRow {
  const added = modes.hindcast.delayP99.median - modes.bare.delayP99.median;
  return {
    figure: `event loop delay p99 at ${rate} requests/s, over the same service without hindcast`,
    measured: `${added.toFixed(2)} ms (${modes.hindcast.delayP99.median.toFixed(2)} over ${modes.bare.delayP99.median.toFixed(2)})`,
    budget: `≤ ${DELAY_BUDGET_MILLISECONDS} ms`,
    held: added <= DELAY_BUDGET_MILLISECONDS,
  };
}

/** Nanoseconds, as microseconds. */
export function us(nanoseconds: number): string {
  const value = nanoseconds / 1000;
  return `${Math.abs(value) < 10 ? value.toFixed(2) : value.toFixed(0)} µs`;
}
