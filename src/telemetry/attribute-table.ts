import {
  AGENT_NAME,
  ARTIFACT_HASH,
  ARTIFACT_VERSION,
  CAPSULE_ID,
  DATA_DIGEST,
  DATA_NAME,
  DATA_VERSION,
  ERROR_TYPE,
  MODEL_DIGEST,
  MODEL_NAME,
  MODEL_VERSION,
  OPERATION,
  REPLAY,
  SEED,
  STAGE_KIND,
  STAGE_NAME,
  TOOL_NAME,
  VIOLATIONS,
} from "./names.js";

/** A span attribute, for the documentation. */
export interface AttributeDescription {
  readonly name: string;
  readonly type: "string" | "int";
  /** Which spans have it. */
  readonly on: string;
  readonly meaning: string;
}

/** What each attribute means; the page of the documentation is made from it. */
export const ATTRIBUTE_TABLE: readonly AttributeDescription[] = [
  { name: STAGE_NAME, type: "string", on: "every span", meaning: "the stage or pipeline" },
  {
    name: STAGE_KIND,
    type: "string",
    on: "every span",
    meaning: "pipeline, ingest, feature, infer, decide, tool or agent",
  },
  { name: SEED, type: "int", on: "every span", meaning: "the run's seed" },
  { name: CAPSULE_ID, type: "string", on: "the root span", meaning: "the run's id, and its capsule's" },
  { name: DATA_NAME, type: "string", on: "stages with data", meaning: "the data set or feature definition" },
  { name: DATA_VERSION, type: "string", on: "stages with data", meaning: "its version" },
  { name: DATA_DIGEST, type: "string", on: "stages whose data has one", meaning: "hash of its content" },
  { name: MODEL_NAME, type: "string", on: "stages with a model", meaning: "the model" },
  { name: MODEL_VERSION, type: "string", on: "stages with a model", meaning: "its version" },
  { name: MODEL_DIGEST, type: "string", on: "stages whose model has one", meaning: "hash of its content" },
  {
    name: ARTIFACT_VERSION,
    type: "string",
    on: "stages with either",
    meaning: "the model's version, or else the data's",
  },
  {
    name: ARTIFACT_HASH,
    type: "string",
    on: "stages where it has one",
    meaning: "the model's digest, or else the data's",
  },
  { name: VIOLATIONS, type: "int", on: "calls with any", meaning: "values that broke a contract" },
  { name: OPERATION, type: "string", on: "tools and agents", meaning: "execute_tool or invoke_agent" },
  { name: TOOL_NAME, type: "string", on: "tools", meaning: "the tool" },
  { name: AGENT_NAME, type: "string", on: "agents", meaning: "the agent" },
  {
    name: REPLAY,
    type: "string",
    on: "spans of a replay",
    meaning: "the id of the capsule that is replayed",
  },
  { name: ERROR_TYPE, type: "string", on: "calls that threw", meaning: "code or class of the error" },
];
