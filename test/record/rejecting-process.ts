/** A service whose schemas reject in every way in which Zod lets them: Node ends a process for one unhandled rejection. */
import { hindcast, memoryStore } from "hindcast";
import { z } from "zod";

const down = async (): Promise<never> => {
  throw new Error("the database is down");
};
const schemas = {
  refine: z.string().refine(down),
  "not an async function": z.string().refine(() => down()),
  superRefine: z.string().superRefine(down),
  check: z.string().check(down),
  transform: z.string().transform(down),
  preprocess: z.preprocess(down, z.string()),
  lazy: z.lazy(() => z.string().refine(down)),
  union: z.union([z.number(), z.string().refine(down)]),
  optional: z.string().refine(down).optional(),
  "in an object": z.object({ text: z.string().refine(down) }),
  "in an array": z.array(z.string().refine(down)),
  "in a record": z.record(z.string(), z.string().refine(down)),
};

const hc = hindcast({
  service: "rejecting",
  store: { ...memoryStore(), append: down },
  onError: () => undefined,
});
const inputs: Readonly<Record<string, unknown>> = {
  "in an object": { text: "x" },
  "in an array": ["x", "y"],
  "in a record": { a: "x", b: "y" },
};

for (const [name, schema] of Object.entries(schemas)) {
  const given = (inputs[name] ?? "x") as never;
  const outcomes = [
    hc.tool({ name, input: schema as z.ZodType }, async () => 1),
    hc.tool({ name, output: schema as z.ZodType }, async () => given as unknown),
    hc.tool({ name, input: schema as z.ZodType }, () => 1),
    hc.tool({ name, output: schema as z.ZodType }, () => given as unknown),
  ].map(async (stage) => {
    try {
      return await stage(given);
    } catch (error) {
      return (error as { code?: string }).code;
    }
  });
  const expected = "contract-violation contract-violation contract-asynchronous contract-asynchronous";
  const got = (await Promise.all(outcomes)).join(" ");
  if (got !== expected) throw new Error(`${name}: ${got}`);
}
await hc.flush();
await new Promise((resolve) => setTimeout(resolve, 20));
console.log("alive");
