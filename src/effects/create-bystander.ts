/** Declares what watches a program and is no part of it: `hc.bystander`. */
import { activeCall, suspend } from "../stage/scopes.js";
import type { AnyFunction } from "../stage/stage.js";
import { mustBeFunction, standIn } from "../stage/wrap.js";

/** `body`, of which nothing is captured or noticed, recorded or replayed, and nothing is put in its place. */
export function createBystander<F extends AnyFunction>(body: F): F {
  mustBeFunction(body, "", "bystander");
  return standIn(body, (self, input) => {
    const perform = (): unknown => Reflect.apply(body as AnyFunction, self as never, input as never[]);
    return activeCall() === undefined ? perform() : suspend(perform, true);
  });
}
