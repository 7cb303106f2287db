/** Stores that misbehave, each in one way. */
import { memoryStore, type Store } from "hindcast";

/** A memory store whose appends do as `append` says. */
export function storeThat(append: (keepIt: () => Promise<void>) => Promise<void>): Store {
  const inner = memoryStore();
  return { ...inner, append: (capsules) => append(() => inner.append(capsules)) };
}

/** A store whose appends wait until it is opened. */
export function gatedStore(): { readonly store: Store; readonly waiting: () => number; open: () => void } {
  let waiting = 0;
  let open = (): void => undefined;
  const gate = new Promise<void>((resolve) => (open = resolve));
  const store = storeThat(async (keepIt) => {
    waiting += 1;
    await gate;
    waiting -= 1;
    await keepIt();
  });
  return { store, waiting: () => waiting, open };
}
