/** Streams that come from outside: each reading of one is an effect of its own. */
import { suspend } from "../stage/scopes.js";
import type { Conductor, EffectCall } from "../stage/seam.js";
import type { Passage } from "./passage.js";

/** The stream of an effect's result: what is read of it is recorded as effects named `<effect>.stream`. */
export function effectStream(conductor: Conductor, effect: EffectCall, passage: Passage): unknown {
  const { call, ordinal } = effect;
  const name = `${effect.name}${ordinal === 0 ? "" : `#${ordinal}`}.stream`;
  return passage.open((method, input) => {
    const read = (): unknown => suspend(() => passage.source(method, input));
    if (call.run.closed && !conductor.replaying) return read();
    const of = effect.of ?? effect.name;
    const reading = { call, name, ordinal: call.nextEffect(name), of, live: effect.live };
    return conductor.effect(reading, [method, ...input], read);
  });
}
