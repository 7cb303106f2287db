/** Replays what `body-source.test.ts` has recorded, in a process that has not: prints the verdicts. */
import { explain, replay } from "hindcast/replay";
import { makeIntake } from "./intake.js";

const { hc, order, upload } = makeIntake(process.argv[2] as string);
for await (const capsule of hc.store.find()) {
  const result = await replay(capsule, capsule.summary.pipeline === "order" ? order : (upload as never));
  console.log(capsule.summary.pipeline, result.verdict === "identical" ? "identical" : explain(result));
}
await hc.close();
