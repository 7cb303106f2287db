import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseSync } from "oxc-parser";
import { describe, expect, test } from "vitest";
import { entryPoints, repositoryRoot } from "../tools/entry-points.js";

/** Every public name, by hand. A change here is a change of the public interface: note it in the change log. */
const surface: Record<string, { values: string[]; types: string[] }> = {
  hindcast: {
    values: [
      "ContractViolation",
      "HindcastError",
      "fileStore",
      "hindcast",
      "isHindcastError",
      "keep",
      "memoryStore",
    ],
    types: [
      "BuiltInSource",
      "CapsuleQuery",
      "CapsuleSummary",
      "Capture",
      "CaptureSource",
      "ContractIssue",
      "ContractMode",
      "Conversion",
      "CurrentRun",
      "DamagedSegment",
      "DataOptions",
      "Duration",
      "EffectOptions",
      "Failure",
      "FailureSource",
      "FileStoreOptions",
      "FlushOptions",
      "Hindcast",
      "HindcastErrorCode",
      "HindcastOptions",
      "HindcastStats",
      "KeepRule",
      "Limits",
      "Logger",
      "LossReason",
      "Losses",
      "MemoryStoreOptions",
      "ModelOptions",
      "PipelineOptions",
      "RecordableClass",
      "RunSummary",
      "Schema",
      "SchemaInput",
      "SchemaOutput",
      "ShutdownOptions",
      "StageDecorator",
      "StageFactory",
      "StageKind",
      "StageOptions",
      "Store",
      "StoredCapsule",
      "Version",
      "VersionOptions",
    ],
  },
  "hindcast/capture": {
    values: ["defineCapture"],
    types: [
      "Capture",
      "CaptureDefinition",
      "CaptureTools",
      "CapturedEffect",
      "CapturedMethod",
      "CapturedOutcome",
      "CapturedRun",
      "MethodSubstitute",
      "ResultConversion",
      "Undo",
    ],
  },
  "hindcast/http": {
    values: ["httpCapture"],
    types: ["Capture"],
  },
  "hindcast/pg": {
    values: ["pgCapture"],
    types: ["Capture", "PgModule"],
  },
  "hindcast/redis": {
    values: ["redisCapture"],
    types: ["Capture", "IoRedisModule", "NodeRedisModule", "RedisModule"],
  },
  "hindcast/register": { values: [], types: [] },
  "hindcast/undici": {
    values: ["undiciCapture"],
    types: ["Capture", "UndiciModule"],
  },
  "hindcast/sqlite": {
    values: ["sqliteCapture"],
    types: ["BetterSqlite", "Capture", "NodeSqlite", "SqliteModule"],
  },
  "hindcast/mcp": {
    values: ["mcpCapture"],
    types: ["Capture", "McpClientClass", "McpErrorClass"],
  },
  "hindcast/knex": {
    values: ["knexCapture"],
    types: ["Capture", "KnexClientClass"],
  },
  "hindcast/replay": {
    values: [
      "Marker",
      "RecordedStream",
      "compareCapsules",
      "describeCapsule",
      "explain",
      "inputOf",
      "outcomeOf",
      "readCapsule",
      "replay",
      "storedCapsule",
      "valueAt",
    ],
    types: [
      "CallKind",
      "CallRecord",
      "Capsule",
      "CapsuleEvent",
      "CapsuleSource",
      "CapsuleSummary",
      "Cause",
      "CompareOptions",
      "Divergence",
      "DivergencePoint",
      "EffectRecord",
      "EffectSubstitute",
      "MarkerReason",
      "NearestEffect",
      "OnStale",
      "OutcomeRecord",
      "ParentRecord",
      "RecordedAnswer",
      "ReplayOptions",
      "ReplayOutcome",
      "ReplayResult",
      "StageRecord",
      "StageSubstitute",
      "StaleAnswer",
      "StreamKind",
      "Pace",
      "Substitute",
      "Thrown",
      "Tolerance",
      "Version",
      "ViolationRecord",
    ],
  },
  "hindcast/testing": {
    values: ["checkDeterminism", "testStore"],
    types: [
      "DeterminismFinding",
      "DeterminismOptions",
      "DeterminismReport",
      "NamedEntry",
      "StoreCase",
      "StoreTestOptions",
    ],
  },
  "hindcast/vitest": {
    values: [],
    types: ["ReplayMatchers"],
  },
};

const entries = entryPoints();

test("every entry point has its list", () => {
  expect(Object.keys(surface).sort()).toEqual(entries.map(({ specifier }) => specifier).sort());
});

describe.each(entries)("$specifier", ({ specifier, source }) => {
  const file = join(repositoryRoot, source);
  const expected = surface[specifier] ?? { values: [], types: [] };

  test.skipIf(!existsSync(file))("exports these values and no others", async () => {
    const namespace = (await import(file)) as Record<string, unknown>;
    expect(Object.keys(namespace).sort()).toEqual(expected.values.toSorted());
  });

  test.skipIf(!existsSync(file))("exports these types and no others, each by name", () => {
    const { module, errors } = parseSync(file, readFileSync(file, "utf8"));
    expect(errors).toEqual([]);
    const exported = module.staticExports.flatMap((statement) => statement.entries);
    const names = (isType: boolean): string[] =>
      exported
        .filter((entry) => entry.isType === isType)
        .map(({ exportName }) => exportName.name ?? exportName.kind);
    expect(names(true).toSorted()).toEqual(expected.types.toSorted());
    expect(names(false).toSorted()).toEqual(expected.values.toSorted());
  });
});
