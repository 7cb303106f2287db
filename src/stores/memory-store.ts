/** A ring in memory: the newest capsules, as many as fit. The default, and the store of tests. */
import { HindcastError } from "../errors.js";
import { type Store, type StoredCapsule, storeClosed } from "./store.js";

export interface MemoryStoreOptions {
  /** Capsules to hold at the most. Default 1,000. */
  readonly capacity?: number;
  /** Bytes to hold at the most. Default 64 MiB. */
  readonly maximumBytes?: number;
}

const DEFAULT_CAPACITY = 1_000;
const DEFAULT_MAXIMUM_BYTES = 64 * 1024 * 1024;

/** Whoever has it may change it; what is held stays. */
function copyOf({ summary, bytes }: StoredCapsule): StoredCapsule {
  return { summary: { ...summary, versions: [...summary.versions] }, bytes: Uint8Array.from(bytes) };
}

/** A store that holds the newest capsules in memory and lets go of the oldest. */
export function memoryStore(options: MemoryStoreOptions = {}): Store {
  const { capacity = DEFAULT_CAPACITY, maximumBytes = DEFAULT_MAXIMUM_BYTES } = options;
  for (const [name, value] of Object.entries({ capacity, maximumBytes })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new HindcastError(
        "invalid-options",
        `memoryStore({ ${name}: ${value} }): give a positive integer.`,
      );
    }
  }
  // A Map keeps the order of insertion, which is what makes it a ring.
  const held = new Map<string, StoredCapsule>();
  let bytes = 0;
  let closed = false;

  const letGo = (id: string): void => {
    bytes -= held.get(id)?.bytes.byteLength ?? 0;
    held.delete(id);
  };

  return {
    append(capsules) {
      if (closed) return Promise.reject(storeClosed());
      for (const capsule of capsules) {
        if (capsule.bytes.byteLength > maximumBytes) continue; // it would push out all the others, and then itself
        letGo(capsule.summary.id);
        held.set(capsule.summary.id, copyOf(capsule));
        bytes += capsule.bytes.byteLength;
        for (const oldest of held.keys()) {
          if (held.size <= capacity && bytes <= maximumBytes) break;
          letGo(oldest);
        }
      }
      return Promise.resolve();
    },
    get(id) {
      const capsule = held.get(id);
      return Promise.resolve(capsule && copyOf(capsule));
    },
    async *find(query) {
      const { limitOf, matcherOf } = await import("./query.js");
      const matches = matcherOf(query);
      let left = limitOf(query);
      for (const capsule of [...held.values()]) {
        if (left <= 0) return;
        if (!matches(capsule.summary)) continue;
        left -= 1;
        yield copyOf(capsule);
      }
    },
    close() {
      closed = true;
      return Promise.resolve();
    },
  };
}
