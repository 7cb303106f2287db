/** A method of somebody's tracer, span, instrument or logger. */
export type Method = (this: unknown, ...input: unknown[]) => unknown;

const substitutes = new WeakSet<object>();

/**
 * Puts what `make` makes of the method `name` in its place, once, wherever it is in the chain of prototypes of
 * `thing`: it then holds for everything of that class. What is locked, or is no method, stays as it is.
 */
export function replaceMethod(thing: object, name: string, make: (original: Method) => Method): void {
  let owner: object | null = thing;
  while (owner !== null && !Object.hasOwn(owner, name)) owner = Object.getPrototypeOf(owner) as object | null;
  if (owner === null || owner === Object.prototype) return;
  const descriptor = Object.getOwnPropertyDescriptor(owner, name);
  const original: unknown = descriptor?.value;
  if (typeof original !== "function" || substitutes.has(original)) return;
  const substitute = make(original as Method);
  for (const property of ["name", "length"]) {
    const described = Object.getOwnPropertyDescriptor(original, property);
    if (described?.configurable === true) Object.defineProperty(substitute, property, described);
  }
  substitutes.add(substitute);
  Reflect.defineProperty(owner, name, { ...descriptor, value: substitute });
}
