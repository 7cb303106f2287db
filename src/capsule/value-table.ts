/**
 * The values of a capsule, as they stand at the end of it: byte strings one behind the other.
 *
 * Invariants
 * 1. Values of equal bytes are there once, wherever they came from.
 * 2. What it takes to find an equal value does not grow with how many there are: values that look alike are
 *    told apart by a checksum of all their bytes.
 */
import { type CborWriter, ONE_STEP_SIZE, releaseWriter, takeWriter } from "./encode-value.js";
import { type Held, heldSize } from "./snapshot.js";

/** So few are looked through in a list: most capsules have no more. */
const FEW = 16;
/** So many are in one Map. */
const MANY = 1024;
/** The others are in several, since a Map that grows is made anew at once: one of a hundred thousand takes some milliseconds. */
const MAPS = 32;
/** What `values` makes between two pauses. */
const VALUES_AT_ONCE = 256;

export class ValueTable {
  /** Everything that has been added, each value behind its head. */
  readonly area: CborWriter = takeWriter();
  readonly #starts: number[] = [];
  readonly #lengths: number[] = [];
  readonly #fingerprints: number[] = [];
  /** The first value of each fingerprint, once there are more than a few. */
  #firsts: Map<number, number> | undefined;
  readonly #laterFirsts: (Map<number, number> | undefined)[] = [];
  /** The other values, by checksum. */
  readonly #byChecksum: (Map<number, readonly number[]> | undefined)[] = [];

  /** How many different values have been added. */
  get count(): number {
    return this.#starts.length;
  }

  /** Adds a value of a step, and gives its reference. */
  add(snapshot: Held): number {
    const { area } = this;
    const from = area.length;
    const length = area.embedded(snapshot);
    const start = area.length - length;
    const fingerprint = area.fingerprint(start, area.length);
    const alike = this.#firstLike(fingerprint);
    if (alike === undefined) return this.#enter(start, length, fingerprint);
    if (this.#isSame(alike, start, length)) return this.#known(alike, from);
    const checksum = area.checksum(start, start + length, 0);
    const known = this.#ofChecksum(checksum).find((reference) => this.#isSame(reference, start, length));
    return known === undefined ? this.#enter(start, length, fingerprint, checksum) : this.#known(known, from);
  }

  /** The same for a value of any size. */
  *addInSteps(snapshot: Held): Generator<undefined, number> {
    if (heldSize(snapshot) <= ONE_STEP_SIZE) return this.add(snapshot);
    const { area } = this;
    const from = area.length;
    const length = yield* area.embeddedInSteps(snapshot);
    const start = area.length - length;
    const fingerprint = area.fingerprint(start, area.length);
    const alike = this.#firstLike(fingerprint);
    if (alike === undefined) return this.#enter(start, length, fingerprint);
    if (yield* this.#isSameInSteps(alike, start, length)) return this.#known(alike, from);
    const checksum = yield* area.checksumInSteps(start, start + length, 0);
    for (const reference of this.#ofChecksum(checksum)) {
      if (yield* this.#isSameInSteps(reference, start, length)) return this.#known(reference, from);
    }
    return this.#enter(start, length, fingerprint, checksum);
  }

  /** A copy of each value by itself, without its head. */
  *values(): Generator<undefined, Uint8Array[]> {
    const bytes = yield* this.area.bytesInSteps();
    const values: Uint8Array[] = [];
    for (const [index, start] of this.#starts.entries()) {
      values.push(bytes.subarray(start, start + (this.#lengths[index] as number)));
      if (values.length % VALUES_AT_ONCE === 0) yield;
    }
    return values;
  }

  /** Nobody looks at its area any more. */
  close(): void {
    releaseWriter(this.area);
  }

  #firstLike(fingerprint: number): number | undefined {
    if (this.#firsts !== undefined) {
      return this.#firsts.get(fingerprint) ?? this.#laterFirsts[fingerprint % MAPS]?.get(fingerprint);
    }
    const reference = this.#fingerprints.indexOf(fingerprint);
    return reference === -1 ? undefined : reference;
  }

  #ofChecksum(checksum: number): readonly number[] {
    return this.#byChecksum[checksum % MAPS]?.get(checksum) ?? [];
  }

  #isSame(reference: number, start: number, length: number): boolean {
    if (this.#lengths[reference] !== length) return false;
    return this.area.isSame(this.#starts[reference] as number, start, length);
  }

  *#isSameInSteps(reference: number, start: number, length: number): Generator<undefined, boolean> {
    if (this.#lengths[reference] !== length) return false;
    return yield* this.area.isSameInSteps(this.#starts[reference] as number, start, length);
  }

  /** What has been written from `from` on is there already. */
  #known(reference: number, from: number): number {
    this.area.takeBack(from);
    return reference;
  }

  #enter(start: number, length: number, fingerprint: number, checksum?: number): number {
    this.#starts.push(start);
    this.#lengths.push(length);
    const reference = this.#fingerprints.push(fingerprint) - 1;
    if (checksum !== undefined) {
      const map = (this.#byChecksum[checksum % MAPS] ??= new Map<number, readonly number[]>());
      map.set(checksum, [...(map.get(checksum) ?? []), reference]);
    } else if (this.#firsts !== undefined) {
      if (this.#firsts.size < MANY) this.#firsts.set(fingerprint, reference);
      else (this.#laterFirsts[fingerprint % MAPS] ??= new Map<number, number>()).set(fingerprint, reference);
    }
    if (this.#firsts === undefined && reference >= FEW) this.#firsts = this.#firstsSoFar();
    return reference;
  }

  #firstsSoFar(): Map<number, number> {
    const firsts = new Map<number, number>();
    for (const [reference, fingerprint] of this.#fingerprints.entries()) {
      if (!firsts.has(fingerprint)) firsts.set(fingerprint, reference);
    }
    return firsts;
  }
}
