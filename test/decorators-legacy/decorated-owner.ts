/** A class with a method that is decorated in the older dialect, in which this folder is compiled. */
import type { AnyFunction } from "../conformance/trial.js";

type Method = (this: unknown, ...input: unknown[]) => unknown;

/** An instance, and its method as it was before. `body` is what the method does. */
export function decoratedOwner(
  body: Method,
  wrap: (method: AnyFunction) => AnyFunction,
): { readonly owner: { subject: Method }; readonly bare: AnyFunction } {
  let bare: AnyFunction | undefined;
  const replace = (_target: object, _key: string, descriptor: PropertyDescriptor): PropertyDescriptor => {
    bare = descriptor.value as AnyFunction;
    return { ...descriptor, value: wrap(bare) };
  };
  // Who imports this file compiles it in the other dialect.
  const decorate = replace as unknown as (...input: unknown[]) => never;
  class Owner {
    readonly #secret = "secret";

    @decorate
    subject(...input: unknown[]): unknown {
      return Reflect.apply(body, this, [this.#secret, ...input]);
    }
  }
  return { owner: new Owner(), bare: bare as unknown as AnyFunction };
}
