import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ATTRIBUTE_TABLE } from "../../src/telemetry/attribute-table.js";
import * as names from "../../src/telemetry/names.js";
import { repositoryRoot } from "../tools/entry-points.js";

test("docs/telemetry.md holds the table of attributes as the code has it", () => {
  const rows = ATTRIBUTE_TABLE.map(
    ({ name, type, on, meaning }) => `| \`${name}\` | ${type} | ${on} | ${meaning} |`,
  );
  const page = readFileSync(join(repositoryRoot, "docs/telemetry.md"), "utf8");
  const found = page.split("\n").filter((line) => line.startsWith("| `"));
  expect(found).toEqual(rows);
});

test("every attribute name is in the table", () => {
  const { SCOPE_NAME: _scope, SEED_BAGGAGE: _baggage, ...attributes } = names;
  expect(Object.values(attributes).toSorted()).toEqual(ATTRIBUTE_TABLE.map(({ name }) => name).toSorted());
});
