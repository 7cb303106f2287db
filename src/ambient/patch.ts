/** Replaces properties of globals and modules, and puts them back. */

/** Undoes a patch. */
export interface Undo {
  (): void;
  /** Whether what was put there is there still; undefined where nothing could be put. */
  readonly isInPlace?: () => boolean;
}

/** Puts what `make` makes of a property's value in its place. A property that is locked stays as it is. */
export function patch<T extends object, K extends keyof T>(
  target: T,
  key: K,
  make: (original: T[K]) => T[K],
): Undo {
  const descriptor = Object.getOwnPropertyDescriptor(target, key);
  const original = target[key];
  const value = make(original);
  const enumerable = descriptor?.enumerable ?? false;
  if (!Reflect.defineProperty(target, key, { value, writable: true, configurable: true, enumerable })) {
    return () => undefined;
  }
  const isInPlace = (): boolean => target[key] === value;
  const undo = (): void => {
    // Whoever patched it since then calls on to ours, which is the original outside of runs.
    if (!isInPlace()) return;
    if (descriptor === undefined) delete target[key];
    else Object.defineProperty(target, key, descriptor);
  };
  return Object.assign(undo, { isInPlace });
}

/** The same of a getter. */
export function patchGetter(target: object, key: string, make: (original: Getter) => Getter): Undo {
  const descriptor = Object.getOwnPropertyDescriptor(target, key);
  const original: unknown = descriptor && Reflect.get(descriptor, "get");
  if (typeof original !== "function") return () => undefined;
  const get = resemble(make(original as Getter), original);
  if (!Reflect.defineProperty(target, key, { ...descriptor, get })) return () => undefined;
  return () => {
    if (Object.getOwnPropertyDescriptor(target, key)?.get !== get) return;
    Object.defineProperty(target, key, descriptor as PropertyDescriptor);
  };
}

export type Getter = (this: object) => unknown;

/** Gives a function that stands for another its name and length, and its other own properties. */
export function resemble<F extends object>(substitute: F, original: object): F {
  for (const key of Reflect.ownKeys(original)) {
    if (key === "prototype") continue;
    const descriptor = Object.getOwnPropertyDescriptor(original, key) as PropertyDescriptor;
    if (Object.getOwnPropertyDescriptor(substitute, key)?.configurable !== false) {
      Object.defineProperty(substitute, key, descriptor);
    }
  }
  return substitute;
}
