/** The types of `hc.ingest | feature | infer | decide | tool | agent` and `hc.pipeline`. */
import type { Version } from "../capsule/capsule.js";
import type { ContractMode } from "../contract/contract.js";
import type { Schema, SchemaInput, SchemaOutput } from "../contract/standard-schema.js";
import type { StageDecorator } from "./decorator.js";
import type { Conversion } from "./definition.js";

/** What every stage takes. */
export interface StageOptions {
  /** Default: the function's own name. */
  readonly name?: string;
  /** What a violation of its contracts does. Default: the instance's `contracts`. */
  readonly mode?: ContractMode;
  /** What to record in place of its arguments (before a contract parses the first) and of its result: plain data. */
  readonly record?: Conversion;
  /** The other way about, for a replay: the arguments of a root, the result of a stage that is `"recorded"`. */
  readonly revive?: Conversion;
}

/** Required of `ingest` and `feature`. */
export interface DataOptions {
  /** What is read, or which definition computes it; a function of the input where that is known only then. */
  readonly data: Version | ((...input: never[]) => Version);
}

/** Required of `infer`. */
export interface ModelOptions {
  /** What infers; a function of the input where that is known only then. */
  readonly model: Version | ((...input: never[]) => Version);
}

/** Of `pipeline`. */
export interface PipelineOptions {
  /** The seed of its runs: an integer from 0 to 2^32 - 1, or a function of the input. Default: the caller's, or drawn. */
  readonly seed?: number | ((...input: never[]) => number);
}

/** What may be said, and need not be, of a stage of any kind. */
export type VersionOptions = Partial<DataOptions & ModelOptions>;

/** What the contracts of a stage are, where it has them. */
export interface ContractOptions<I extends Schema | undefined, O extends Schema | undefined> {
  /** What the first argument must meet; the function gets what it parses to. */
  readonly input?: I;
  /** What the result must meet; the caller gets what it parses to. */
  readonly output?: O;
}

/** What a function under an output contract returns. */
type Returns<O> = O extends Schema ? SchemaInput<O> | PromiseLike<SchemaInput<O>> : unknown;

/** The functions that fit between two contracts. */
export type StageBody<I extends Schema | undefined, O extends Schema | undefined> = I extends Schema
  ? (input: SchemaOutput<I>, ...rest: never[]) => Returns<O>
  : (...input: never[]) => Returns<O>;

type This<F> = F extends (this: infer T, ...input: never[]) => unknown ? T : unknown;
type Rest<F> = F extends (first: never, ...rest: infer R) => unknown ? R : [];
type All<F> = F extends (...input: infer A) => unknown ? A : never;
type Result<F> = F extends (...input: never[]) => infer R ? R : never;
/** What a caller gets: what the result parses to, in a promise where the function gives one. */
type Parsed<R, O extends Schema> =
  R extends PromiseLike<unknown> ? Promise<SchemaOutput<O>> : SchemaOutput<O>;

/** The type of a wrapped function: the function's own, but where a contract stands. */
export type Stage<I extends Schema | undefined, O extends Schema | undefined, F> = I extends Schema
  ? (
      this: This<F>,
      input: SchemaInput<I>,
      ...rest: Rest<F>
    ) => O extends Schema ? Parsed<Result<F>, O> : Result<F>
  : O extends Schema
    ? (this: This<F>, ...input: All<F>) => Parsed<Result<F>, O>
    : F;

/** `hc.<kind>(options, fn)` wraps; `hc.<kind>(options)` alone decorates a method. `Own` is what the kind asks for. */
export interface StageFactory<Own> {
  <
    I extends Schema | undefined = undefined,
    O extends Schema | undefined = undefined,
    F extends StageBody<I, O> = StageBody<I, O>,
  >(
    options: StageOptions & Own & ContractOptions<I, O>,
    body: F,
  ): Stage<I, O, F>;
  <I extends Schema | undefined = undefined, O extends Schema | undefined = undefined>(
    options: StageOptions & Own & ContractOptions<I, O>,
  ): StageDecorator<StageBody<I, O>>;
}
