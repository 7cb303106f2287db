/** Tries every row, prints the table, and writes `docs/compatibility.md`. Given names, it tries those rows and only prints. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { groups } from "./rows.js";
import { lineOf, type RowResult, tableOf } from "./table.js";
import { tryRow } from "./try-row.js";

const names = process.argv.slice(2);
const sections: string[] = [];
for (const [group, rows] of Object.entries(groups)) {
  const lines: string[] = [];
  for (const row of rows) {
    if (names.length > 0 && !names.some((name) => row.name.includes(name))) continue;
    const result = await tryRow(row).catch(
      (error: unknown): RowResult => ({
        failed: String((error as { stderr?: string }).stderr || error)
          .trim()
          .split("\n")
          .slice(-6)
          .join(" "),
      }),
    );
    const line = lineOf(row, result);
    console.log(line);
    lines.push(line);
  }
  if (lines.length > 0) sections.push(`## ${group}\n\n${tableOf(lines)}\n`);
}

const INTRODUCTION = `# Compatibility

Each row is a small program over one library, at its real package, against real servers on loopback. \`npm run test:field:matrix\`
tries them all and writes this page; it was last written on Node ${process.versions.node}.

- A program is recorded in two processes. In one its first call is made alone, five follow one after another, and then 20 at once.
  In the other the first 20 calls are made at once.
- A third process replays all of them when the servers are gone. Connecting and starting a process fail there, and are counted.
- \`identical\`: the capsule says that it can be replayed exactly, the verdict is \`identical\`, and the outcome is what the
  program gave when it was recorded.
- \`inexact\`: the capsule says that it cannot be replayed exactly. The last column says why.
- \`diverged\`: the replay was another, with the cause. \`uncontrolled\` means that the program read something that is not
  declared: [shared state](shared-state.md) shows how to declare it. Rows that are called *undeclared* are here to show it.
`;

if (names.length === 0) {
  writeFileSync(
    join(import.meta.dirname, "../../../docs/compatibility.md"),
    [INTRODUCTION, ...sections].join("\n"),
  );
}
