/** What an object holds besides what its kind shows: properties of its own that no list of its keys has. */

/** A property: its key, whether that is a registered symbol's, whether it is hidden from enumeration, and its value. */
export interface HiddenProperty {
  readonly key: string;
  readonly isSymbol: boolean;
  readonly isHidden: boolean;
  readonly descriptor: PropertyDescriptor;
}

/** Longer lists of plain values are not looked through for further properties: to list their keys takes longer than to copy them. */
const MOST_LISTED = 256;

/**
 * The properties of `value` that its kind does not show, as `isShown` says of keys that are texts. `local` is told of symbols that nobody else can name: what is
 * under them cannot be recorded.
 */
export function hiddenProperties(
  value: object,
  isShown: (key: string, isHidden: boolean) => boolean,
): readonly HiddenProperty[] {
  const hidden: HiddenProperty[] = [];
  const isError = value instanceof Error;
  for (const key of Reflect.ownKeys(value)) {
    // To look at a stack is to write it out.
    if (isError && key === "stack") continue;
    const descriptor = Object.getOwnPropertyDescriptor(value, key);
    if (descriptor === undefined) continue;
    const isHidden = descriptor.enumerable !== true;
    if (typeof key === "string") {
      if (!isShown(key, isHidden)) hidden.push({ key, isSymbol: false, isHidden, descriptor });
      continue;
    }
    const name = Symbol.keyFor(key);
    if (name !== undefined) hidden.push({ key: name, isSymbol: true, isHidden, descriptor });
  }
  return hidden;
}

/** Whether a list may have properties besides its items, as far as it is affordable to know. */
export function mayHaveFurther(list: readonly unknown[]): boolean {
  if (list.length <= MOST_LISTED || typeof list[0] === "object") {
    return Reflect.ownKeys(list).length !== list.length + 1;
  }
  return Object.getOwnPropertySymbols(list).length > 0;
}
