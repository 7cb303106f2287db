/**
 * Compares what wrappers do to the functions they wrap, and writes docs/peers.md. Each wrapper runs in a process of its own;
 * where a case ends that process, another one goes on with the next case.
 */
import { spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { repositoryRoot } from "../tools/entry-points.js";
import { buildPrograms } from "./build.js";
import { type PeerName, PEERS, TITLES } from "./peers/all.js";
import { CASES } from "./peers/cases.js";
import type { CaseMessage, Finding } from "./peers/finding.js";
import type { Fault } from "./peers/peer.js";
import { table } from "./table.js";
import { openSink } from "./sink.js";

const PAGE = join(repositoryRoot, "docs/peers.md");
const SILENCE_MILLISECONDS = 20_000;

interface Compared {
  readonly name: PeerName;
  readonly version: string;
  readonly absent: string | undefined;
  readonly findings: ReadonlyMap<string, Finding>;
}

const program = await buildPrograms();
await using sink = await openSink();

async function compare(name: PeerName): Promise<Compared> {
  const findings = new Map<string, Finding>();
  let version = "";
  let absent: string | undefined;
  for (const fault of [undefined, "rejects", "throws"] as const) {
    const cases = Object.keys(CASES).filter((one) => CASES[one]?.fault === fault);
    while (cases.length > 0 && absent === undefined) {
      const left = cases.length;
      await runCases(name, fault, cases, (message) => {
        if ("ready" in message) version = message.ready;
        else if ("absent" in message) absent = message.absent;
        else if ("began" in message) {
          cases.shift();
          // Until it tells of the case, the process has ended in it.
          findings.set(message.began, { outcome: "breaks", detail: "ends the process" });
        } else findings.set(message.of, message.found);
      });
      if (cases.length === left) absent ??= "its process ended before the first case";
    }
  }
  return { name, version, absent, findings };
}

function runCases(
  name: PeerName,
  fault: Fault | undefined,
  cases: readonly string[],
  told: (message: CaseMessage) => void,
): Promise<void> {
  return new Promise((resolve) => {
    const args = [program("peer-process"), name, sink.url, fault ?? "none", ...cases];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "ignore", "ipc"] });
    let silence = setTimeout(() => child.kill("SIGKILL"), SILENCE_MILLISECONDS);
    child.on("message", (message: CaseMessage) => {
      clearTimeout(silence);
      silence = setTimeout(() => child.kill("SIGKILL"), SILENCE_MILLISECONDS);
      told(message);
    });
    child.on("close", () => {
      clearTimeout(silence);
      resolve();
    });
  });
}

const compared: Compared[] = [];
for (const name of PEERS) {
  compared.push(await compare(name));
  const { absent, findings } = compared.at(-1) as Compared;
  const count = [...findings.values()].filter(({ outcome }) => outcome === "holds").length;
  console.error(`peers: ${name}: ${absent ?? `${count} of ${findings.size} hold`}`);
}

const control = compared.find(({ name }) => name === "bare");
for (const [title, { outcome, detail }] of control?.findings ?? []) {
  if (outcome !== "holds")
    throw new Error(`the case "${title}" does not hold without a wrapper: ${outcome} ${detail}`);
}

const shown = compared.filter(({ name, absent }) => name !== "bare" && absent === undefined);
const page = `# What wrappers change

<!-- Written by \`npm run bench:peers\`; do not edit. -->

A wrapper should leave the function that it wraps as it was. Here each case is run against the function alone, where it must
hold, and against the wrappers that are in use. Run on ${new Date().toISOString().slice(0, 10)} with Node ${process.versions.node}. The cases are in
[\`test/bench/peers/cases.ts\`](../test/bench/peers/cases.ts).

- **holds**: as without the wrapper.
- *changes*: the program goes on, and something is otherwise; a word says what.
- **breaks**: something that the function did not throw comes to the caller, the call never ends, or the process does.

${table(
  ["", ...shown.map(({ name, version }) => `${TITLES[name]} ${version}`)],
  [
    ...Object.entries(CASES).map(([key, { title }]) => [
      title,
      ...shown.map(({ findings }) => cellOf(findings.get(key))),
    ]),
    ["**holds**", ...shown.map(({ findings }) => `${countOf(findings, "holds")} of ${findings.size}`)],
  ],
)}
${compared
  .filter(({ absent }) => absent !== undefined)
  .map(({ name, absent }) => `\n${TITLES[name]} did not run: ${absent}`)
  .join("\n")}`;
writeFileSync(PAGE, `${page.trimEnd()}\n`);
console.log(page);

function countOf(findings: Compared["findings"], outcome: Finding["outcome"]): number {
  return [...findings.values()].filter((finding) => finding.outcome === outcome).length;
}

function cellOf(finding: Finding | undefined): string {
  switch (finding?.outcome) {
    case "holds":
      return "holds";
    case "changes":
      return `*changes: ${finding.detail}*`;
    case "breaks":
      return `**breaks: ${finding.detail}**`;
    case "none":
    case undefined:
      return "none such";
  }
}
