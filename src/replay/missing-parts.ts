/** What a replay's program has read that the capsule does not hold. */
import { isQuiet } from "../stage/quiet.js";

const MAXIMUM_PARTS = 8;

export class MissingParts {
  readonly #read = new Set<string>();
  #isUnreadable = false;

  /** Notes that the program has read a part. What the library itself reads, to copy it, is no reading. */
  readonly tell = (part: string): void => {
    if (!isQuiet() && this.#read.size < MAXIMUM_PARTS) this.#read.add(part);
  };

  /** Notes that a value cannot be decoded at all. */
  unreadable(reference: number): void {
    this.#isUnreadable = true;
    this.#read.add(`value ${reference}, whose bytes are damaged`);
  }

  /** Whether a value could not be decoded: nothing can be compared then. */
  get isUnreadable(): boolean {
    return this.#isUnreadable;
  }

  /** In a sentence what was read; undefined where everything that was read is there. */
  get message(): string | undefined {
    if (this.#read.size === 0) return undefined;
    return (
      `The program read what the capsule does not hold: ${[...this.#read].join("; ")}. ` +
      "Record what it needs with `record`, list the class in hindcast({ classes }), or raise the limit."
    );
  }
}
