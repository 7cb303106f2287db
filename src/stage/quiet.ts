/**
 * Whether the library, or something it tells of a run (a span processor, a listener), is at work. What
 * is done there is no part of the program, and is not captured; it is synchronous, so a counter will do.
 */
let depth = 0;

export function isQuiet(): boolean {
  return depth > 0;
}

/** Nothing is captured until `endQuiet` is called, which must be in a `finally`. For where a function costs too much. */
export function beginQuiet(): void {
  depth += 1;
}

export function endQuiet(): void {
  depth -= 1;
}

/** Calls `body`; nothing in it is captured. */
export function quietly<T>(body: () => T): T {
  depth += 1;
  try {
    return body();
  } finally {
    depth -= 1;
  }
}

/**
 * What calls `body` as loud as it is now, however quiet it has become by then: the program's own code, called
 * back by what is quiet.
 */
export function asLoudAsNow(): <T>(body: () => T) => T {
  const loudness = depth;
  return (body) => {
    const quieter = depth;
    depth = loudness;
    try {
      return body();
    } finally {
      depth = quieter;
    }
  };
}
