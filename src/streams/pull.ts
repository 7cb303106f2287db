/** What a reader of a stream may do: ask for the next item, or tell it that it is done. */
export type StreamMethod = "next" | "return" | "throw";

/**
 * Reads a stream by the protocol of iterators, whatever kind it is: gives an `IteratorResult`, or a
 * promise of one, and throws or rejects as the stream does. `return` cancels a web stream and destroys a
 * Node one.
 */
export type Pull = (method: StreamMethod, input: readonly unknown[]) => unknown;

/** A stream has come to its end. */
export const ENDED: IteratorReturnResult<undefined> = Object.freeze({ done: true, value: undefined });

/** What stands in a record for a method, where nobody can read a stream any more. */
export const ABANDONED = "abandon";
