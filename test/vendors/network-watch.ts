/** Counts what goes out to the network. To be made before anything captures `fetch`. */
import dns from "node:dns";
import { syncBuiltinESMExports } from "node:module";
import net from "node:net";

export interface NetworkWatch {
  /** Calls so far. */
  readonly counts: { connect: number; lookup: number; fetch: number };
  restore(): void;
}

/** Counts; and where `broken`, lets nothing through. */
export function watchNetwork(broken = false): NetworkWatch {
  const counts = { connect: 0, lookup: 0, fetch: 0 };
  const undo = [
    replace(net.Socket.prototype, "connect", counts, "connect", broken),
    replace(dns, "lookup", counts, "lookup", broken),
    replace(globalThis, "fetch", counts, "fetch", broken),
  ];
  syncBuiltinESMExports();
  return {
    counts,
    restore: () => {
      for (const put of undo) put();
      syncBuiltinESMExports();
    },
  };
}

function replace<K extends string>(
  target: object,
  key: string,
  counts: Record<K, number>,
  count: K,
  broken: boolean,
): () => void {
  const original = Reflect.get(target, key) as (...input: unknown[]) => unknown;
  const substitute = function (this: unknown, ...input: unknown[]): unknown {
    counts[count] += 1;
    if (broken) throw new Error(`${key}: there is no network`);
    return Reflect.apply(original, this, input);
  };
  Reflect.set(target, key, substitute);
  return () => void Reflect.set(target, key, original);
}
