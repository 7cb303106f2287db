/** Runs cases against one wrapper, one after the other, and tells of each; a case may end the process. */
import { setTimeout as wait } from "node:timers/promises";
import { peers, type PeerName } from "../peers/all.js";
import { CASES, Changed, NotApplicable } from "../peers/cases.js";
import type { CaseMessage, Finding } from "../peers/finding.js";
import type { Peer } from "../peers/peer.js";

const CASE_MILLISECONDS = 3_000;

const [name, sink = "", fault, ...cases] = process.argv.slice(2);

function tell(message: CaseMessage): Promise<void> {
  return new Promise((resolve) => process.send?.(message, () => resolve()));
}

async function findingOf(peer: Peer, title: string): Promise<Finding> {
  const timeout = wait(CASE_MILLISECONDS, "timeout" as const, { ref: true });
  try {
    const done = Promise.resolve(CASES[title]?.run(peer)).then(() => "done" as const);
    if ((await Promise.race([done, timeout])) === "timeout") return { outcome: "breaks", detail: "hangs" };
    // What comes late is of this case still.
    await wait(30);
    return { outcome: "holds", detail: "" };
  } catch (error) {
    if (error instanceof NotApplicable) return { outcome: "none", detail: "" };
    if (error instanceof Changed) return { outcome: "changes", detail: error.message };
    return { outcome: "breaks", detail: nameOf(error) };
  }
}

function nameOf(error: unknown): string {
  return error instanceof Error ? error.name : typeof error;
}

let peer: Peer | undefined;
try {
  peer = await peers[name as PeerName]({
    sink,
    fault: fault === "rejects" || fault === "throws" ? fault : undefined,
  });
  await tell({ ready: peer.version });
} catch (error) {
  await tell({ absent: String(error) });
}
if (peer !== undefined) {
  for (const one of cases) {
    await tell({ began: one });
    await tell({ found: await findingOf(peer, one), of: one });
  }
}
process.exit();
