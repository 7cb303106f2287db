/**
 * Fails when the path of a call has become longer by more than the tolerance. What it takes is told in units of a reference
 * work that is measured by turns with it, so a slower machine, or a busy one, tells the same.
 *
 *     npm run bench:guard                  compare with the baseline
 *     npm run bench:guard -- --write       write the baseline, where a longer path is meant or a shorter one is to stay
 *     npm run bench:guard -- --stability   ten times beside a busy process, and once with a path that is made longer
 */
import { execFileSync, spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { benchRoot, buildPrograms } from "./build.js";
import { GUARDED, type GuardFigures, TITLES } from "./guard-figures.js";
import { median } from "./statistics.js";
import { table } from "./table.js";

const BASELINE = join(benchRoot, "guard-baseline.json");
const TOLERANCE = 0.18;
const ATTEMPTS = 4;
/** Compilers decide anew in each process: the middle one of several is steady. */
const PROCESSES = 5;
/** What everything is compared with later has to be steadier. */
const BASELINE_PROCESSES = 15;
const STABILITY_RUNS = 10;
const SLOWDOWN = "0.25";

const line = process.versions.node.split(".", 1)[0] as string;
const program = await buildPrograms();

type Baselines = Readonly<Record<string, GuardFigures>>;

function measure(
  slowdown = process.env["HINDCAST_GUARD_SLOWDOWN"] ?? "0",
  processes: number = PROCESSES,
): GuardFigures {
  const measured = Array.from({ length: processes }, () => {
    const output = execFileSync(process.execPath, [program("guard-process")], {
      encoding: "utf8",
      env: { ...process.env, HINDCAST_GUARD_SLOWDOWN: slowdown },
    });
    return JSON.parse(output) as GuardFigures;
  });
  return Object.fromEntries(
    GUARDED.map((name) => [name, median(measured.map((one) => one[name]))]),
  ) as unknown as GuardFigures;
}

function baselines(): Baselines {
  return existsSync(BASELINE) ? (JSON.parse(readFileSync(BASELINE, "utf8")) as Baselines) : {};
}

/** The names of what has become longer. */
function longer(figures: GuardFigures, baseline: GuardFigures): readonly string[] {
  return GUARDED.filter((name) => figures[name] > baseline[name] * (1 + TOLERANCE));
}

function least(one: GuardFigures, other: GuardFigures): GuardFigures {
  const entries = GUARDED.map((name) => [name, Math.min(one[name], other[name])]);
  return Object.fromEntries(entries) as GuardFigures;
}

function compare(): void {
  const baseline = baselines()[line];
  if (baseline === undefined) {
    console.error(`guard: there is no baseline for Node ${line}: npm run bench:guard -- --write`);
    process.exitCode = 1;
    return;
  }
  let figures = measure();
  // What the machine does beside it may make a path longer, and never shorter: the least of several is the path.
  for (let again = 1; again < ATTEMPTS && longer(figures, baseline).length > 0; again++) {
    console.log(`guard: longer in attempt ${again}, measured again`);
    figures = least(figures, measure());
  }
  const changeOf = (name: keyof GuardFigures): number => figures[name] / baseline[name] - 1;
  console.log(
    table(
      ["in units of the reference work", "baseline", "now", "change"],
      GUARDED.map((name) => [
        TITLES[name],
        baseline[name].toFixed(3),
        figures[name].toFixed(3),
        `${(changeOf(name) * 100).toFixed(1)} %`,
      ]),
    ),
  );
  const failed = longer(figures, baseline);
  if (failed.length > 0) {
    console.error(`guard: longer by more than ${TOLERANCE * 100} %: ${failed.join(", ")}`);
    process.exitCode = 1;
  } else if (GUARDED.some((name) => changeOf(name) < -TOLERANCE)) {
    console.log("guard: shorter than the baseline: npm run bench:guard -- --write keeps it so");
  }
}

function write(): void {
  writeFileSync(
    BASELINE,
    `${JSON.stringify({ ...baselines(), [line]: measure("0", BASELINE_PROCESSES) }, undefined, 2)}\n`,
  );
  console.log(`guard: the baseline for Node ${line} is in ${BASELINE}`);
}

function showStability(): void {
  const busy = spawn(process.execPath, ["-e", "for (;;) Math.sqrt(Math.random())"], { stdio: "ignore" });
  try {
    const runs = Array.from({ length: STABILITY_RUNS }, () => measure("0"));
    const slower = measure(SLOWDOWN);
    const middle = Object.fromEntries(
      GUARDED.map((name) => [name, median(runs.map((run) => run[name]))]),
    ) as unknown as GuardFigures;
    console.log(
      table(
        [
          `${STABILITY_RUNS} runs beside a busy process`,
          "least",
          "middle",
          "most",
          "most over least",
          `path longer by ${SLOWDOWN}`,
        ],
        GUARDED.map((name) => {
          const values = runs.map((run) => run[name]);
          const [least, most] = [Math.min(...values), Math.max(...values)];
          return [
            TITLES[name],
            ...[least, middle[name], most].map((one) => one.toFixed(3)),
            `${((most / least - 1) * 100).toFixed(1)} %`,
            `${((slower[name] / middle[name] - 1) * 100).toFixed(1)} %`,
          ];
        }),
      ),
    );
    const noticed = longer(slower, middle);
    console.log(`guard: longer by ${SLOWDOWN}, it would fail for: ${noticed.join(", ") || "nothing"}`);
    const wrong = runs.filter((run) => longer(run, middle).length > 0).length;
    console.log(`guard: of the ${STABILITY_RUNS} runs as they were, it would fail for ${wrong}`);
    if (noticed.length < GUARDED.length || wrong > 0) process.exitCode = 1;
  } finally {
    busy.kill();
  }
}

if (process.argv.includes("--write")) write();
else if (process.argv.includes("--stability")) showStability();
else compare();
