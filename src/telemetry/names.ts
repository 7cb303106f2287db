/**
 * Every name that telemetry uses, spelled here and nowhere else. `gen_ai.*`, `artifact.*` and
 * `error.*` are OpenTelemetry's; nothing there stands for a data set's version, a replay or
 * inference that is not generative, so those are under `hindcast.*`. `ATTRIBUTE_TABLE` says what each means.
 */
export const CAPSULE_ID = "hindcast.capsule.id";
/** On the spans, measurements and log records of a replay that is asked for them: the capsule that is replayed. */
export const REPLAY = "hindcast.replay";
export const STAGE_NAME = "hindcast.stage.name";
export const STAGE_KIND = "hindcast.stage.kind";
export const SEED = "hindcast.seed";
export const DATA_NAME = "hindcast.data.name";
export const DATA_VERSION = "hindcast.data.version";
export const DATA_DIGEST = "hindcast.data.digest";
export const MODEL_NAME = "hindcast.model.name";
export const MODEL_VERSION = "hindcast.model.version";
export const MODEL_DIGEST = "hindcast.model.digest";
export const VIOLATIONS = "hindcast.contract.violations";
export const ARTIFACT_VERSION = "artifact.version";
export const ARTIFACT_HASH = "artifact.hash";
export const TOOL_NAME = "gen_ai.tool.name";
export const AGENT_NAME = "gen_ai.agent.name";
export const OPERATION = "gen_ai.operation.name";
export const ERROR_TYPE = "error.type";

/** The instrumentation scope. */
export const SCOPE_NAME = "hindcast";
/** Baggage with which a caller hands its seed on. */
export const SEED_BAGGAGE = "hindcast.seed";
