import type { StageCall } from "./stage-call.js";

/** One effect of a run: its key is the call it happens in, its name, and its ordinal there. */
export interface EffectCall {
  readonly call: StageCall;
  readonly name: string;
  /** How many effects of that name the call has begun before. */
  readonly ordinal: number;
}
