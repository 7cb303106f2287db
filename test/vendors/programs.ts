import { anthropicPrograms } from "./anthropic-programs.js";
import { openaiPrograms } from "./openai-programs.js";
import type { Program } from "./program.js";

/** All programs, each under a name of its own. */
export const programs: Readonly<Record<string, Program>> = {
  ...named("openai", openaiPrograms),
  ...named("anthropic", anthropicPrograms),
};

function named(vendor: string, of: Readonly<Record<string, Program>>): Record<string, Program> {
  return Object.fromEntries(Object.entries(of).map(([name, program]) => [`${vendor}: ${name}`, program]));
}
