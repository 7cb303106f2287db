/**
 * What a replay's options put in the place of stages and effects, and what they say of stale answers.
 *
 * Keys. A stage is named `judge`, or `judge#1` for the second call of it by the same caller. An effect is named `fetch`,
 * or `fetch#1` for the second one of its call; `judge.fetch` means those asked within the stage `judge`, and in what it
 * calls. Of several rules for one effect the one of the innermost stage counts, and there the one that names the number.
 */
import { type Capsule, stageOf } from "../capsule/capsule.js";
import { HindcastError } from "../errors.js";
import type { EffectCall, ObservedCall } from "../stage/seam.js";
import { textCloseness } from "./closeness.js";

/** A stage's or an effect's part in a replay: what is recorded, its own code, or another function. */
export type Substitute = "recorded" | "live" | ((...input: never[]) => unknown);

/** What is done where something is asked that the record has no answer to. */
export type OnStale = "refuse" | "recorded" | "live";

/** What is put in the place of an effect. */
export interface EffectSubstitute {
  /** Default: `"recorded"`. */
  readonly run?: Substitute;
  readonly onStale?: OnStale;
}

/** What is put in the place of a stage, and of the effects that are asked within it. */
export interface StageSubstitute {
  /** Default: `"live"`, its own code. */
  readonly run?: Substitute;
  /** Of all effects within it, or by their names. */
  readonly effects?: "live" | "recorded" | Readonly<Record<string, Substitute | EffectSubstitute>>;
  /** For the effects within it. */
  readonly onStale?: OnStale;
}

export interface SubstituteOptions {
  /**
   * By stage: `"live"` runs its code (the default), `"recorded"` gives what is recorded of it, and a function is put
   * in its place. An object says in `run` which of them, and in `effects` and `onStale` what holds for the effects
   * within it. `judge#1` is the second call.
   */
  readonly stages?: Readonly<Record<string, Substitute | StageSubstitute>>;
  /**
   * By effect: `"recorded"` (the default), `"live"` to touch the outside world, or a function in its place.
   * `judge.fetch` are those asked within a stage, `fetch#1` is the second one of a call.
   */
  readonly effects?: Readonly<Record<string, Substitute | EffectSubstitute>>;
  /**
   * What is done where something is asked that the record has no answer to: `"refuse"` (the default) throws into the
   * program, `"recorded"` gives the answer to another question, and `"live"` asks. For all, or by the name of an
   * effect or a stage.
   */
  readonly onStale?: OnStale | Readonly<Record<string, OnStale>>;
}

interface Rule {
  readonly run: Substitute | undefined;
  readonly onStale: OnStale | undefined;
}

/** What holds within a stage, or everywhere. */
interface Scope {
  readonly effects: Map<string, Rule>;
  /** Of effects that have no rule of their own. */
  readonly rest: Rule;
}

type Substitutable = "stage" | "effect";

const SUBSTITUTES = 'give "recorded", "live" or a function';
const NO_RULE: Rule = { run: undefined, onStale: undefined };

export class Substitutes {
  /** A line for each change, such as `stage risk: a function`. */
  readonly given: readonly string[];
  /** Whether nothing is put in the place of anything, and nothing stale is to be given. */
  readonly isEmpty: boolean;
  readonly #capsule: Capsule;
  readonly #stages = new Map<string, Substitute>();
  readonly #scopes = new Map<string, Scope>();
  readonly #everywhere: Scope;
  /** The keys as they were given, with what they name. */
  readonly #keys: { readonly what: Substitutable; readonly key: string; readonly option: string }[] = [];
  /** Of what the replay has come to, as `stage judge#1`. */
  readonly #met = new Set<string>();
  readonly #isLive: boolean;

  /** Throws `invalid-options`, and `replay-capsule` where something is to be given as recorded that the capsule does not have. */
  constructor(capsule: Capsule, { stages = {}, effects = {}, onStale }: SubstituteOptions) {
    this.#capsule = capsule;
    const forAll = typeof onStale === "object" && onStale !== null ? undefined : onStale;
    if (forAll !== undefined) mustBeOnStale(forAll, "replay({ onStale })");
    this.#everywhere = { effects: new Map(), rest: { run: undefined, onStale: forAll } };
    const given: string[] = [];
    for (const [key, substitute] of entriesOf(stages, "stages"))
      given.push(...this.#addStage(key, substitute));
    for (const [key, substitute] of entriesOf(effects, "effects"))
      given.push(...this.#addEffect(key, substitute));
    if (forAll !== undefined && forAll !== "refuse") given.push(`stale answers: ${forAll}`);
    if (forAll === undefined && onStale !== undefined) {
      for (const [key, one] of entriesOf(onStale as Readonly<Record<string, OnStale>>, "onStale")) {
        given.push(...this.#addOnStale(key, one));
      }
    }
    this.given = given;
    this.isEmpty = this.#stages.size === 0 && this.#keys.length === 0 && forAll === undefined;
    this.#isLive = given.some((line) => line.endsWith(": live"));
  }

  /** What is put in the place of a call of a stage. */
  stage(name: string, ordinal: number): Substitute | undefined {
    if (this.#stages.size === 0) return undefined;
    return this.#stages.get(`${name}#${ordinal}`) ?? this.#stages.get(name);
  }

  /** What is put in the place of every call of a stage. */
  wholeStage(name: string): Substitute | undefined {
    return this.#stages.get(name);
  }

  /** As `stage`, and notes that the replay came to it. */
  meetStage({ definition: { name }, ordinal }: ObservedCall): Substitute | undefined {
    if (this.isEmpty) return undefined;
    this.#met.add(`stage ${name}`).add(`stage ${name}#${ordinal}`);
    return this.stage(name, ordinal);
  }

  /** What is put in the place of an effect; undefined where the options do not say. */
  effect(effect: EffectCall, name: string, ordinal: number): Substitute | undefined {
    if (this.isEmpty) return undefined;
    let substitute: Substitute | undefined;
    for (const rule of this.#rulesFor(effect.call, name, ordinal)) substitute ??= rule.run;
    return substitute;
  }

  /** What is done where the record has no answer. */
  onStale(call: ObservedCall, name: string, ordinal: number): OnStale {
    if (this.isEmpty) return "refuse";
    for (const { onStale } of this.#rulesFor(call, name, ordinal)) if (onStale !== undefined) return onStale;
    return "refuse";
  }

  /** The same for a stage that is to be given as recorded. */
  onStaleCall({ definition: { name }, ordinal, parent }: ObservedCall): OnStale {
    for (const key of [`${name}#${ordinal}`, name]) {
      const scope = this.#scopes.get(key);
      if (scope?.rest.onStale !== undefined) return scope.rest.onStale;
    }
    for (let call = parent; call !== undefined; call = call.parent) {
      const { onStale } = this.#scopeOf(call)?.rest ?? NO_RULE;
      if (onStale !== undefined) return onStale;
    }
    return this.#everywhere.rest.onStale ?? "refuse";
  }

  /** Whether anything may be asked for real. */
  mayBeLive(): boolean {
    return this.#isLive;
  }

  /** Whether the options change what happens. To give a stage as recorded changes nothing. */
  get isWhatIf(): boolean {
    return this.given.some((line) => !line.endsWith(": recorded") || line.startsWith("stale answers"));
  }

  /** Whether anything may take the time that it takes. */
  mayTakeTime(): boolean {
    return this.#isLive || this.given.some((line) => line.endsWith(": a function"));
  }

  /** Every rule for an effect, the one that counts first. */
  *#rulesFor(call: ObservedCall, name: string, ordinal: number): Generator<Rule> {
    const keys = [`${name}#${ordinal}`, name];
    for (const key of keys) this.#met.add(`effect ${key}`);
    for (let within: ObservedCall | undefined = call; within !== undefined; within = within.parent) {
      const stage = within.definition.name;
      for (const key of keys) {
        this.#met.add(`effect ${stage}.${key}`).add(`effect ${stage}#${within.ordinal}.${key}`);
      }
      for (const scope of [this.#scopes.get(`${stage}#${within.ordinal}`), this.#scopes.get(stage)]) {
        if (scope !== undefined) yield* rulesOf(scope, keys);
      }
    }
    yield* rulesOf(this.#everywhere, keys);
  }

  #scopeOf({ definition: { name }, ordinal }: ObservedCall): Scope | undefined {
    return this.#scopes.get(`${name}#${ordinal}`) ?? this.#scopes.get(name);
  }

  #addStage(key: string, given: unknown): string[] {
    const option = `stages: { "${key}": … }`;
    if (!isObject(given)) {
      mustBeSubstitute(given, `replay({ ${option} })`);
      this.#enterStage(key, option, given);
      return given === "live" ? [] : [`stage ${key}: ${textOf(given)}`];
    }
    mustHaveOnly(given, ["run", "effects", "onStale"], `replay({ ${option} })`);
    const { run, effects, onStale } = given as StageSubstitute;
    const lines: string[] = [];
    if (run !== undefined) mustBeSubstitute(run, `replay({ stages: { "${key}": { run } } })`);
    this.#enterStage(key, option, run ?? "live");
    if (run !== undefined && run !== "live") lines.push(`stage ${key}: ${textOf(run)}`);
    if (onStale !== undefined) {
      mustBeOnStale(onStale, `replay({ stages: { "${key}": { onStale } } })`);
      if (onStale !== "refuse") lines.push(`stale answers in ${key}: ${onStale}`);
    }
    const all = typeof effects === "string" ? effects : undefined;
    if (all !== undefined && all !== "live" && all !== "recorded") {
      throw invalid(
        `replay({ stages: { "${key}": { effects } } }): give "live", "recorded", or one for each effect by its name.`,
      );
    }
    if (all === "live") lines.push(`effects in ${key}: live`);
    const scope: Scope = { effects: new Map(), rest: { run: all, onStale } };
    this.#scopes.set(key, scope);
    if (all !== undefined || effects === undefined) return lines;
    for (const [name, one] of entriesOf(
      effects as Readonly<Record<string, unknown>>,
      `stages["${key}"].effects`,
    )) {
      const rule = ruleOf(one, `replay({ stages: { "${key}": { effects: { "${name}": … } } } })`);
      scope.effects.set(name, rule);
      this.#keys.push({ what: "effect", key: `${key}.${name}`, option: `stages["${key}"].effects` });
      lines.push(...linesOf(`effect ${key}.${name}`, rule));
    }
    return lines;
  }

  #enterStage(key: string, option: string, substitute: Substitute): void {
    this.#stages.set(key, substitute);
    this.#keys.push({ what: "stage", key, option });
    if (substitute === "recorded" && !this.#isRecorded("stage", key)) throw this.#notThere("stage", key);
  }

  #addEffect(key: string, given: unknown): string[] {
    const rule = ruleOf(given, `replay({ effects: { "${key}": … } })`);
    this.#keys.push({ what: "effect", key, option: "effects" });
    if (rule.run === "recorded" && !this.#isRecorded("effect", key)) throw this.#notThere("effect", key);
    for (const { effects, name } of this.#placesOf(key)) effects.set(name, { ...effects.get(name), ...rule });
    return linesOf(`effect ${key}`, rule);
  }

  /** Where the rule of a key belongs: an effect's own name may have dots in it, and so may a stage's. */
  *#placesOf(key: string): Generator<{ effects: Map<string, Rule>; name: string }> {
    yield { effects: this.#everywhere.effects, name: key };
    const isEffect = this.#capsule.effects.some(({ name }) => name === withoutNumber(key));
    if (isEffect) return;
    for (let dot = key.indexOf("."); dot > 0; dot = key.indexOf(".", dot + 1)) {
      yield { effects: this.#scopeAt(key.slice(0, dot)).effects, name: key.slice(dot + 1) };
    }
  }

  #scopeAt(stage: string, onStale?: OnStale): Scope {
    const known = this.#scopes.get(stage);
    if (known !== undefined && onStale === undefined) return known;
    const rest = { run: known?.rest.run, onStale: onStale ?? known?.rest.onStale };
    const scope: Scope = { effects: known?.effects ?? new Map<string, Rule>(), rest };
    this.#scopes.set(stage, scope);
    return scope;
  }

  #addOnStale(key: string, onStale: unknown): string[] {
    mustBeOnStale(onStale, `replay({ onStale: { "${key}": … } })`);
    const isStage = this.#isRecorded("stage", key);
    this.#keys.push({ what: isStage ? "stage" : "effect", key, option: "onStale" });
    if (isStage) this.#scopeAt(key, onStale);
    for (const { effects, name } of this.#placesOf(key)) {
      const rule = effects.get(name);
      effects.set(name, { run: rule?.run, onStale });
    }
    return onStale === "refuse" ? [] : [`stale answers of ${key}: ${onStale}`];
  }

  /** Changed code may come to what the capsule does not have; but a name that nothing has is a mistake. Throws `replay-capsule`. */
  mustBeThere(): void {
    for (const { what, key } of this.#keys) {
      if (!this.#met.has(`${what} ${key}`) && !this.#isRecorded(what, key)) throw this.#notThere(what, key);
    }
  }

  #isRecorded(what: Substitutable, key: string): boolean {
    const { calls, effects } = this.#capsule;
    if (what === "stage") {
      return calls.some(({ ordinal }, index) => isNamed(key, stageOf(this.#capsule, index).name, ordinal));
    }
    return effects.some(({ name, ordinal, call, item }) => {
      if (item) return false;
      if (isNamed(key, name, ordinal)) return true;
      for (let within = call; within >= 0; within = calls[within]?.parent ?? -1) {
        const stage = stageOf(this.#capsule, within).name;
        const prefix = [`${stage}.`, `${stage}#${calls[within]?.ordinal}.`].find((one) =>
          key.startsWith(one),
        );
        if (prefix !== undefined && isNamed(key.slice(prefix.length), name, ordinal)) return true;
      }
      return false;
    });
  }

  #notThere(what: Substitutable, key: string): HindcastError {
    const names = new Set(
      (what === "stage" ? this.#capsule.stages : this.#capsule.effects).map(({ name }) => name),
    );
    const known = names.size === 0 ? "none" : [...names].join(", ");
    const nearest = nearestOf(key, this.#candidates(what, names));
    const meant = nearest === undefined ? "" : ` Did you mean "${nearest}"?`;
    return new HindcastError(
      "replay-capsule",
      `The capsule has no ${what} "${key}"; it has: ${known}.${meant} Give one of these, or one that the code of today comes to.`,
    );
  }

  #candidates(what: Substitutable, names: ReadonlySet<string>): string[] {
    if (what === "stage") return [...names];
    const scoped = this.#capsule.effects.map(
      ({ name, call }) => `${stageOf(this.#capsule, call).name}.${name}`,
    );
    return [...names, ...new Set(scoped)];
  }
}

/** Whether a stage's own code does not run, so that what it did in the record may not be done again. */
export function isReplaced(substitute: Substitute | undefined): boolean {
  return substitute === "recorded" || typeof substitute === "function";
}

function* rulesOf({ effects, rest }: Scope, keys: readonly string[]): Generator<Rule> {
  for (const key of keys) {
    const rule = effects.get(key);
    if (rule !== undefined) yield rule;
  }
  yield rest;
}

function ruleOf(given: unknown, option: string): Rule {
  if (!isObject(given)) {
    mustBeSubstitute(given, option);
    return { run: given, onStale: undefined };
  }
  mustHaveOnly(given, ["run", "onStale"], option);
  const { run, onStale } = given as EffectSubstitute;
  if (run !== undefined) mustBeSubstitute(run, option);
  if (onStale !== undefined) mustBeOnStale(onStale, option);
  return { run, onStale };
}

function linesOf(what: string, { run, onStale }: Rule): string[] {
  const lines: string[] = [];
  if (run !== undefined && run !== "recorded") lines.push(`${what}: ${textOf(run)}`);
  if (onStale !== undefined && onStale !== "refuse") lines.push(`stale answers of ${what}: ${onStale}`);
  return lines;
}

function textOf(substitute: Substitute): string {
  return typeof substitute === "function" ? "a function" : substitute;
}

function isNamed(key: string, name: string, ordinal: number): boolean {
  return key === name || key === `${name}#${ordinal}`;
}

function withoutNumber(key: string): string {
  const [, name] = /^(.*)#\d+$/s.exec(key) ?? [];
  return name ?? key;
}

/** Names that are less alike than this are not what was meant. */
const SIMILAR_NAME = 0.3;

function nearestOf(key: string, names: readonly string[]): string | undefined {
  const name = withoutNumber(key);
  let nearest: string | undefined;
  let closest = SIMILAR_NAME;
  for (const candidate of names) {
    const closeness = Math.max(textCloseness(name, candidate), letterCloseness(name, candidate));
    if (closeness > closest) [nearest, closest] = [candidate, closeness];
  }
  return nearest;
}

/** The share of letters that two names have in common, so that short names with two letters swapped are alike. */
function letterCloseness(one: string, other: string): number {
  const letters = other.split("");
  let common = 0;
  for (const letter of one) {
    const found = letters.indexOf(letter);
    if (found === -1) continue;
    letters.splice(found, 1);
    common += 1;
  }
  // Less than what neighbouring letters say: an anagram is a weak hint.
  return (0.5 * 2 * common) / (one.length + other.length);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}

function entriesOf<T>(given: Readonly<Record<string, T>>, option: string): [string, T][] {
  if (!isObject(given) || Array.isArray(given)) {
    throw invalid(`replay({ ${option} }): give an object, with names as its keys.`);
  }
  return Object.entries(given);
}

function mustBeSubstitute(given: unknown, option: string): asserts given is Substitute {
  if (given !== "recorded" && given !== "live" && typeof given !== "function") {
    throw invalid(`${option}: ${SUBSTITUTES}.`);
  }
}

function mustBeOnStale(given: unknown, option: string): asserts given is OnStale {
  if (given !== "refuse" && given !== "recorded" && given !== "live") {
    throw invalid(`${option}: give "refuse", "recorded" or "live".`);
  }
}

function mustHaveOnly(given: object, known: readonly string[], option: string): void {
  for (const key of Object.keys(given)) {
    if (known.includes(key)) continue;
    const nearest = nearestOf(key, known);
    const meant = nearest === undefined ? "" : ` Did you mean "${nearest}"?`;
    throw invalid(`${option} has no "${key}"; it has: ${known.join(", ")}.${meant}`);
  }
}

function invalid(message: string): HindcastError {
  return new HindcastError("invalid-options", message);
}
