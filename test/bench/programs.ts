/** The functions that are measured, wrapped as a contender wraps them. */
import type { Contender } from "./contenders/contender.js";
import { application, type PayloadName } from "./payloads.js";

export type Program = (value: unknown) => Promise<unknown>;

/** What has to be called, by payload: one function, or for the trace an agent of 40 stages. */
export function programFor(payload: PayloadName, wrap: Contender["wrap"]): Program {
  return payload === "trace" ? agent(wrap) : wrap("decide", "root", decide);
}

async function decide(_value: unknown): Promise<unknown> {
  return { approved: true, score: 0.42, reason: "within limits" };
}

/** An agent of 40 stages: itself, 3 steps, and 12 tools in each step. */
function agent(wrap: Contender["wrap"]): Program {
  const tool = wrap("lookup", "tool", async (query: unknown) => ({ found: true, ...(query as object) }));
  const step = wrap("step", "step", async (input: unknown) => {
    const results: unknown[] = [];
    for (let index = 0; index < 12; index++)
      results.push(await tool({ index, about: "the applicant", input }));
    return results.length;
  });
  return wrap("agent", "root", async (value: unknown) => {
    const { id } = (value ?? application()) as { id: string };
    const done = [
      await step({ id, goal: "plan" }),
      await step({ id, goal: "act" }),
      await step({ id, goal: "check" }),
    ];
    return { done };
  });
}
