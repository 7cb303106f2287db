import { patchEvents } from "./event-source.js";
import { patchOperations } from "./operation-source.js";
import type { Undo } from "./patch.js";
import { patchPorts } from "./port-source.js";
import { patchStreams } from "./stream-source.js";

/** Everything whose answer is noticed where it was asked within a run and outside of effects. */
export function patchUndeclared(): Undo[] {
  return [...patchStreams(), ...patchEvents(), ...patchPorts(), ...patchOperations()];
}
