import { type } from "arktype";
import { hindcast } from "hindcast";
import type { StageRecord } from "hindcast/replay";
import { z } from "zod";
import { onlyCapsuleOf } from "../record/recorded.js";

type Identities = Pick<StageRecord, "input" | "output">;

const Tree = z.object({
  value: z.union([z.string(), z.number()]).nullable(),
  get children() {
    return z.array(Tree);
  },
});

/** The identities of a few contracts, as a capsule holds them. */
export async function recordIdentities(): Promise<Identities[]> {
  const hc = hindcast({ service: "identity" });
  const tree = hc.tool(
    { name: "tree", input: Tree, output: z.map(z.string(), z.date()).meta({ title: "Index" }) },
    () => new Map(),
  );
  const ark = hc.tool({ name: "ark", input: type({ a: "string", "b?": "number" }) }, (value) => value);
  hc.pipeline({ name: "flow" }, () => {
    tree({ value: 1, children: [] });
    ark({ a: "x" });
  })();
  const capsule = await onlyCapsuleOf(hc);
  return capsule.stages.map(({ input, output }) => ({ input, output }));
}
