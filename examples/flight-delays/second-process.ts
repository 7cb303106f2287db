import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import type { ModelName } from "./model.js";
import { ReplayCounts } from "./replaying.js";

const Message = z.union([z.object({ done: z.number() }), z.object({ counts: ReplayCounts })]);

/** Replays a directory of capsules in a process of its own, started with this one's flags. */
export async function replayInSecondProcess(
  dir: string,
  model: ModelName,
  onProgress: (done: number) => void,
): Promise<ReplayCounts> {
  const child = fork(fileURLToPath(new URL("./replay-process.ts", import.meta.url)), [dir, model], {
    execPath: process.execPath,
    execArgv: process.execArgv,
  });
  let counts: ReplayCounts | undefined;
  child.on("message", (received) => {
    const message = Message.parse(received);
    if ("counts" in message) counts = message.counts;
    else onProgress(message.done);
  });
  const [status] = await once(child, "exit");
  if (counts === undefined) throw new Error(`the second process ended with status ${status} and no counts`);
  return counts;
}
