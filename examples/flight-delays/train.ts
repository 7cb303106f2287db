/**
 * Fits the two models of the example and writes them to `models/`. It takes about five minutes and gives the same
 * files each time (every seed is fixed); the example works with the files in the repository without it.
 *
 * The libraries are `ml-logistic-regression` and `ml-random-forest` of mljs, on its `ml-matrix`: MIT, 100 kB
 * together without `ml-matrix`, plain JavaScript, seeded, no native code and no download at installation, and
 * a fitted model is an object that can be written down as numbers, so that predicting needs no library (see
 * `model.ts`). Both packages are finished rather than busy (releases of 2020 and 2022, on an `ml-matrix` that
 * is released several times a year). Looked at and not taken: `decision-tree` 1.0 (one branch per distinct
 * value of a number), `ydf-training` 0.0.1 (WebAssembly, no options, the model is a closed archive),
 * `ml-xgboost` (on an `ml-matrix` of 2017), `scikitjs` and `@tensorflow/tfjs` (tens of megabytes).
 */
import { writeFileSync } from "node:fs";
import LogisticRegression from "ml-logistic-regression";
import { Matrix } from "ml-matrix";
import { RandomForestRegression } from "ml-random-forest";
import { z } from "zod";
import { AirportHistory } from "./airport-history.js";
import { Features, type LandedFlight } from "./contracts.js";
import { airportFeatures, calendarFeatures, lateAfterMinutes } from "./features.js";
import { measure } from "./metrics.js";
import { type Artifact, artifactUrl, type FeatureName, type ForestTree, predictChance } from "./model.js";
import { parseFlight, readRecords } from "./records.js";
import { holdOutStart } from "./split.js";

interface Example {
  readonly features: Features;
  readonly late: boolean;
}

const featureNames: readonly FeatureName[] = Features.keyof().options;

/** The features of each flight as the service would have seen them on the day: only what had landed counts. */
function examplesOf(flights: readonly LandedFlight[]): Example[] {
  const history = new AirportHistory();
  return flights.map((landed) => {
    const flight = parseFlight(landed);
    const origin = history.recentNow(flight.origin, flight.departs);
    const destination = history.recentNow(flight.destination, flight.departs);
    history.learn(landed);
    return {
      features: { ...calendarFeatures(flight), ...airportFeatures(origin, destination) },
      late: landed.delay > lateAfterMinutes,
    };
  });
}

function rowOf({ features }: Example): number[] {
  return featureNames.map((name) => features[name]);
}

function fitLogistic(examples: readonly Example[]): Artifact {
  const rows = examples.map(rowOf);
  const moments = featureNames.map((feature, column) => {
    const values = rows.map((row) => row[column] ?? 0);
    const mean = rounded(values.reduce((sum, value) => sum + value, 0) / values.length);
    const variance = values.reduce((sum, value) => sum + (value - mean) * (value - mean), 0) / values.length;
    return { feature, mean, scale: rounded(Math.sqrt(variance)) };
  });
  const scaled = rows.map((row) => [
    ...moments.map(({ mean, scale }, column) => ((row[column] ?? 0) - mean) / scale),
    1,
  ]);
  // The library's gradient is a sum over the rows, so the rate is divided by their number.
  const regression = new LogisticRegression({ numSteps: 1_500, learningRate: 0.5 / rows.length });
  regression.train(new Matrix(scaled), Matrix.columnVector(examples.map(({ late }) => (late ? 1 : 0))));
  // The classifier of class 0 gives the chance of everything but class 0, which is the chance to be late.
  const weights = regression.classifiers[0]?.weights.getRow(0) ?? [];
  return {
    kind: "logistic",
    name: "delay-logistic",
    version: "1",
    intercept: rounded(weights.at(-1) ?? 0),
    terms: moments.map((moment, column) => ({ ...moment, weight: rounded(weights[column] ?? 0) })),
  };
}

function fitForest(examples: readonly Example[]): Artifact {
  const forest = new RandomForestRegression({
    seed: 2001,
    nEstimators: 40,
    maxFeatures: 0.6,
    replacement: false,
    useSampleBagging: true,
    noOOB: true,
    treeOptions: { maxDepth: 6, minNumSamples: 60 },
  });
  forest.train(
    examples.map(rowOf),
    examples.map(({ late }) => (late ? 1 : 0)),
  );
  const { baseModel } = FittedForest.parse(JSON.parse(JSON.stringify(forest)));
  return {
    kind: "forest",
    name: "delay-forest",
    version: "2",
    features: [...featureNames],
    trees: baseModel.estimators.map(({ root }, index) => flatten(root, baseModel.indexes[index] ?? [])),
  };
}

/** What the library writes for a forest, as far as it is needed. */
interface FittedNode {
  readonly splitColumn?: number | undefined;
  readonly splitValue?: number | undefined;
  readonly distribution?: number | undefined;
  readonly left?: FittedNode | undefined;
  readonly right?: FittedNode | undefined;
}

const FittedNode: z.ZodType<FittedNode> = z.lazy(() =>
  z.object({
    splitColumn: z.number().int().optional(),
    splitValue: z.number().optional(),
    distribution: z.number().optional(),
    left: FittedNode.optional(),
    right: FittedNode.optional(),
  }),
);

const FittedForest = z.object({
  baseModel: z.object({
    indexes: z.array(z.array(z.number().int())),
    estimators: z.array(z.object({ root: FittedNode })),
  }),
});

/** Each tree was fitted on some of the columns: `columns` maps its own numbering to that of all features. */
function flatten(root: FittedNode, columns: readonly number[]): ForestTree {
  const nodes: ForestTree = [];
  const add = (node: FittedNode): number => {
    const place = nodes.length;
    nodes.push([0]);
    if (node.left !== undefined && node.right !== undefined) {
      const column = columns[node.splitColumn ?? -1];
      if (column === undefined || node.splitValue === undefined)
        throw new Error("a branch without its split");
      nodes[place] = [column, rounded(node.splitValue), add(node.left), add(node.right)];
    } else {
      if (node.distribution === undefined) throw new Error("a leaf without its value");
      nodes[place] = [rounded(node.distribution)];
    }
    return place;
  };
  add(root);
  return nodes;
}

/** One node of a tree a line, as a formatter would: so that two versions of a model can be compared line by line. */
function laidOut(artifact: Artifact): string {
  const text = JSON.stringify(artifact, undefined, 2);
  return `${text.replace(/\[[-+\d.,e\s]+\]/g, (numbers) => numbers.replace(/\s+/g, "").replaceAll(",", ", "))}\n`;
}

/** Six significant digits: more would only make the files longer. */
function rounded(value: number): number {
  return Number(value.toPrecision(6));
}

const { flights } = readRecords();
const examples = examplesOf(flights);
// The first two days have no history to speak of.
const training = examples.slice(450, holdOutStart);
const holdOut = examples.slice(holdOutStart);
console.log(`training on ${training.length} flights, measured on the ${holdOut.length} after them`);

for (const { name, fit } of [
  { name: "delay-logistic", fit: fitLogistic },
  { name: "delay-forest", fit: fitForest },
] as const) {
  const started = performance.now();
  const artifact = fit(training);
  const seconds = (performance.now() - started) / 1_000;
  const metrics = measure(
    holdOut.map(({ features }) => predictChance(artifact, features)),
    holdOut.map(({ late }) => late),
  );
  const text = laidOut(artifact);
  writeFileSync(artifactUrl(name), text);
  console.log(
    `${name}: AUC ${metrics.auc.toFixed(4)}, log loss ${metrics.logLoss.toFixed(4)} ` +
      `(always the base rate of ${metrics.baseRate.toFixed(4)}: ${metrics.baseLogLoss.toFixed(4)}); ` +
      `fitted in ${seconds.toFixed(1)} s, ${(text.length / 1_024).toFixed(1)} kB`,
  );
}
