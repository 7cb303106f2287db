import { patchEvents } from "./event-source.js";
import { patchOperations } from "./operation-source.js";
import type { Undo } from "./patch.js";
import { patchPorts } from "./port-source.js";
import { patchSockets } from "./socket-source.js";

/** Everything whose answer is noticed where it was asked within a run and outside of effects. */
export function patchUndeclared(): Undo[] {
  return [...patchSockets(), ...patchEvents(), ...patchPorts(), ...patchOperations()];
}
