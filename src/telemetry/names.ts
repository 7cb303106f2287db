/**
 * Every name that telemetry uses, spelled here and nowhere else. `gen_ai.*`, `artifact.*` and
 * `error.*` are OpenTelemetry's; nothing there stands for a data set's version, a replay or
 * inference that is not generative, so those are under `hindcast.*`.
 */

/** A span attribute. */
export interface AttributeName {
  readonly name: string;
  readonly type: "string" | "int";
  readonly meaning: string;
}

export const ATTRIBUTES = {
  capsuleId: { name: "hindcast.capsule.id", type: "string", meaning: "the run's capsule; on the root span" },
  stageName: { name: "hindcast.stage.name", type: "string", meaning: "the stage or pipeline" },
  stageKind: {
    name: "hindcast.stage.kind",
    type: "string",
    meaning: "pipeline, ingest, feature, infer, decide, tool or agent",
  },
  seed: { name: "hindcast.seed", type: "int", meaning: "the run's seed" },
  dataName: { name: "hindcast.data.name", type: "string", meaning: "the data set or feature definition" },
  dataVersion: { name: "hindcast.data.version", type: "string", meaning: "its version" },
  dataDigest: { name: "hindcast.data.digest", type: "string", meaning: "hash of its content" },
  modelName: { name: "hindcast.model.name", type: "string", meaning: "the model" },
  modelVersion: { name: "hindcast.model.version", type: "string", meaning: "its version" },
  modelDigest: { name: "hindcast.model.digest", type: "string", meaning: "hash of its content" },
  violations: {
    name: "hindcast.contract.violations",
    type: "int",
    meaning: "values that broke a contract in this call",
  },
  artifactVersion: {
    name: "artifact.version",
    type: "string",
    meaning: "the model's version, or else the data's",
  },
  artifactHash: { name: "artifact.hash", type: "string", meaning: "the model's digest, or else the data's" },
  toolName: { name: "gen_ai.tool.name", type: "string", meaning: "the tool, on a tool's span" },
  agentName: { name: "gen_ai.agent.name", type: "string", meaning: "the agent, on an agent's span" },
  operation: {
    name: "gen_ai.operation.name",
    type: "string",
    meaning: "execute_tool or invoke_agent, on theirs",
  },
  errorType: { name: "error.type", type: "string", meaning: "class or code of the error; never on success" },
} as const satisfies Readonly<Record<string, AttributeName>>;

/** The instrumentation scope. */
export const SCOPE_NAME = "hindcast";
/** Baggage with which a caller hands its seed on. */
export const SEED_BAGGAGE = "hindcast.seed";
