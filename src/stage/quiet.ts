/**
 * Whether the library, or something it tells of a run (a span processor, a listener), is at work. What
 * is done there is no part of the program, and is not captured; it is synchronous, so a counter will do.
 *
 * Where `quietly` costs too much, add one and take it off in a `finally`, by a constant that holds the counter: when the
 * stack is at its end nothing can be called any more, and where modules are compiled to read an imported name by a call,
 * the counter would stay up for good.
 */
export const quiet: { depth: number } = { depth: 0 };

export function isQuiet(): boolean {
  return quiet.depth > 0;
}

/** Calls `body`; nothing in it is captured. */
export function quietly<T>(body: () => T): T {
  quiet.depth += 1;
  try {
    return body();
  } finally {
    quiet.depth -= 1;
  }
}

/**
 * What calls `body` as loud as it is now, however quiet it has become by then: the program's own code, called
 * back by what is quiet.
 */
export function asLoudAsNow(): <T>(body: () => T) => T {
  const loudness = quiet.depth;
  return (body) => {
    const quieter = quiet.depth;
    quiet.depth = loudness;
    try {
      return body();
    } finally {
      quiet.depth = quieter;
    }
  };
}
