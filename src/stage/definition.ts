import type { CallKind, Version } from "../capsule/capsule.js";
import type { Contract, ContractMode } from "../contract/contract.js";

/** A version known beforehand, or only once the stage's input is. */
export type VersionSource = Version | ((...input: never[]) => Version);

/** What to make of the arguments, and of what was returned. A promise's value is converted, not the promise. */
export interface Conversion {
  /** Gives a list: one for each argument. */
  readonly input?: (...input: never[]) => readonly unknown[];
  readonly output?: (value: never) => unknown;
}

/** What a stage or an effect says of them. */
export interface Conversions {
  /** What is recorded in place of its arguments and its result. */
  readonly record?: Conversion | undefined;
  /** Makes them again of what is recorded, where a replay gives them to the program. */
  readonly revive?: Conversion | undefined;
}

/** A wrapped function, as the library sees it. */
export interface Definition extends Conversions {
  readonly name: string;
  readonly kind: CallKind;
  readonly data: VersionSource | undefined;
  readonly model: VersionSource | undefined;
  readonly input: Contract | undefined;
  readonly output: Contract | undefined;
  readonly mode: ContractMode;
  /** The seed of the runs it is the root of. */
  readonly seed: number | ((...input: never[]) => number) | undefined;
}

/** What a stage returned or threw. */
export type Outcome =
  | { readonly status: "ok"; readonly value: unknown }
  | { readonly status: "error"; readonly error: unknown };
