/**
 * Loads a fitted artifact and predicts with it. The arithmetic is `+ - * /`, comparisons and one `Math.exp`,
 * which give the same bits on every Node line. `Math.pow` and the `**` operator do not (they differ in the last
 * bit between Node versions), and the last bit is enough to flip a decision at a threshold.
 */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { z } from "zod";
import { Features } from "./contracts.js";

const FeatureName = Features.keyof();
export type FeatureName = z.infer<typeof FeatureName>;

const Logistic = z.object({
  kind: z.literal("logistic"),
  name: z.string(),
  version: z.string(),
  intercept: z.number(),
  /** The feature is centred and scaled, then weighted. */
  terms: z.array(z.object({ feature: FeatureName, mean: z.number(), scale: z.number(), weight: z.number() })),
});

/** `[feature, threshold, below, other]`: an index into `features`, and two indices into the tree's nodes. */
const Branch = z.tuple([z.number().int(), z.number(), z.number().int(), z.number().int()]);
const Leaf = z.tuple([z.number()]);

const Forest = z.object({
  kind: z.literal("forest"),
  name: z.string(),
  version: z.string(),
  features: z.array(FeatureName),
  trees: z.array(z.array(z.union([Branch, Leaf])).min(1)),
});

export const Artifact = z.discriminatedUnion("kind", [Logistic, Forest]);
export type Artifact = z.infer<typeof Artifact>;
export type ForestTree = Extract<Artifact, { kind: "forest" }>["trees"][number];

export const modelNames = ["delay-logistic", "delay-forest"] as const;
export type ModelName = (typeof modelNames)[number];

export interface DelayModel {
  readonly name: string;
  readonly version: string;
  /** The SHA-256 of the artifact's bytes: what `sha256sum` prints for the file. */
  readonly digest: string;
  /** The chance, 0 to 1, that a flight with these features is more than 15 minutes late. */
  predict(features: Features): number;
}

/** Where a model's artifact lies. */
export function artifactUrl(name: ModelName): URL {
  return new URL(`./models/${name}.json`, import.meta.url);
}

/** Reads an artifact and derives its digest; throws a `ZodError` when the file is no artifact. */
export function loadModel(name: ModelName): DelayModel {
  const bytes = readFileSync(artifactUrl(name));
  const artifact = Artifact.parse(JSON.parse(bytes.toString("utf8")));
  return {
    name: artifact.name,
    version: artifact.version,
    digest: `sha256:${createHash("sha256").update(bytes).digest("hex")}`,
    predict: (features) => predictChance(artifact, features),
  };
}

/** The prediction alone, for an artifact that is not in a file yet. */
export function predictChance(artifact: Artifact, features: Features): number {
  switch (artifact.kind) {
    case "logistic": {
      let sum = artifact.intercept;
      for (const { feature, mean, scale, weight } of artifact.terms) {
        sum += ((features[feature] - mean) / scale) * weight;
      }
      return 1 / (1 + Math.exp(-sum));
    }
    case "forest": {
      const row = artifact.features.map((feature) => features[feature]);
      let sum = 0;
      for (const tree of artifact.trees) sum += leafValue(tree, row);
      return sum / artifact.trees.length;
    }
    default:
      return artifact satisfies never;
  }
}

function leafValue(tree: ForestTree, row: readonly number[]): number {
  let node = tree[0];
  while (node !== undefined && node.length === 4) {
    const [feature, threshold, below, other] = node;
    node = tree[(row[feature] ?? Number.NaN) < threshold ? below : other];
  }
  if (node === undefined) throw new Error("a tree of the forest has a branch to a node that does not exist");
  return node[0];
}
