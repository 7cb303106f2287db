/**
 * Keys, primes, signatures and the like of `node:crypto`. What draws is recorded: a key as its bytes, of which a replay makes
 * the key again. What gives the same for the same is performed again in a replay.
 */
import { AsyncLocalStorage } from "node:async_hooks";
import crypto from "node:crypto";
import type { Conversion } from "../stage/definition.js";
import { captured, nextEffect } from "./captured.js";
import { argumentsOf, computesCallback, type Method, outcomeOf } from "./computed.js";
import { patch, resemble, type Undo } from "./patch.js";

type Callback = (this: unknown, ...outcome: unknown[]) => void;
type Methods = Record<string, Method>;

/** What a replay can have again. */
interface Recorded {
  readonly record?: Conversion;
  readonly revive?: Conversion;
}

/** A `KeyObject` as it is recorded. */
interface KeyBytes {
  readonly keyObject: crypto.KeyObject["type"];
  readonly bytes: Buffer;
}

const COMPUTES = /^(?:pbkdf2|scrypt|hkdf|argon2|checkPrime|verify|diffieHellman|decapsulate)$/;
/** Of one with a callback, the one without. */
const DRAWS: Readonly<Record<string, string>> = {
  generateKeyPair: "generateKeyPairSync",
  generateKey: "generateKeySync",
  generatePrime: "generatePrimeSync",
  encapsulate: "encapsulate",
};

const SETTING = crypto.DiffieHellman.prototype as {
  readonly setPrivateKey: (this: object, key: Buffer) => void;
};

export function patchKeys(): Undo[] {
  const functions = crypto as unknown as Methods;
  const has = (name: string): boolean => typeof functions[name] === "function";
  return [
    ...Object.keys(crypto)
      .filter((name) => COMPUTES.test(name))
      .map((name) =>
        patch(functions, name, (original) => computesCallback("crypto", `crypto.${name}`, original)),
      ),
    ...Object.entries(DRAWS).flatMap(([name, sync]) => {
      if (!has(name)) return [];
      const draw = functions[sync] as Method;
      const undo = patch(functions, name, (original) => draws(`crypto.${name}`, original, draw));
      return sync === name
        ? [undo]
        : [undo, patch(functions, sync, (original) => draws(`crypto.${sync}`, original, draw))];
    }),
    patch(functions, "publicEncrypt", (original) => draws("crypto.publicEncrypt", original, original)),
    patch(functions, "sign", createSign),
    patch(crypto.Sign.prototype as unknown as Methods, "sign", (original) =>
      drawsUnless("crypto.sign", original, ([key]) => signsTheSame(key)),
    ),
    ...[crypto.ECDH, crypto.DiffieHellman, crypto.DiffieHellmanGroup].map((exchange) =>
      patch(
        (exchange as { readonly prototype: unknown }).prototype as Methods,
        "generateKeys",
        createGenerateKeys,
      ),
    ),
    patch(functions, "createDiffieHellman", createDiffieHellman),
  ];
}

const KEYS: Recorded = { record: { output: exportAll }, revive: { output: importAll } };

/** Stands for one that draws: at once, or later where its last argument is a callback. `draw` gives another one at once. */
function draws(name: string, original: Method, draw: Method): Method {
  return resemble<Method>(function (...input) {
    const capture = captured("crypto");
    if (capture === undefined) return Reflect.apply(original, this, input);
    const { call, conductor } = capture;
    const callback = typeof input.at(-1) === "function" ? (input.at(-1) as Callback) : undefined;
    const given = callback === undefined ? input : input.slice(0, -1);
    const effect = { ...nextEffect(call, name, () => Reflect.apply(draw, this, given)), ...KEYS };
    if (callback === undefined)
      return conductor.effect(effect, [], () => Reflect.apply(original, this, input));
    const hand = AsyncLocalStorage.bind(callback);
    conductor.start(
      effect,
      [],
      (arrive) => {
        const last = (...outcome: unknown[]): void => {
          const [error, value, privateKey] = outcome;
          const isPair = error == null && outcome.length > 2;
          arrive(outcomeOf([error, isPair ? { publicKey: value, privateKey } : value]));
        };
        Reflect.apply(original, this, [...given, last]);
      },
      (outcome) => {
        const pair = outcome.status === "ok" ? pairOf(outcome.value) : undefined;
        if (pair === undefined) hand.apply(undefined, argumentsOf(outcome));
        else hand.apply(undefined, [null, pair.publicKey, pair.privateKey]);
      },
    );
    return undefined;
  }, original);
}

/** The same of one that draws only with some keys. */
function drawsUnless(name: string, original: Method, isSame: (input: readonly unknown[]) => boolean): Method {
  const drawing = draws(name, original, original);
  return resemble<Method>(function (...input) {
    return Reflect.apply(isSame(input) ? original : drawing, this, input);
  }, original);
}

function createSign(original: Method): Method {
  const drawing = draws("crypto.sign", original, original);
  const computing = computesCallback("crypto", "crypto.sign", original);
  return resemble<Method>(function (...input) {
    return Reflect.apply(signsTheSame(input[2]) ? computing : drawing, this, input);
  }, original);
}

/** Whether a signature with that key has no randomness in it. To read a key from its text takes too long to find out. */
function signsTheSame(given: unknown): boolean {
  if (typeof given !== "object" || given === null) return false;
  const isKey = given instanceof crypto.KeyObject;
  const key = isKey ? given : (given as { readonly key?: unknown }).key;
  if (!(key instanceof crypto.KeyObject)) return false;
  const { padding } = isKey ? { padding: undefined } : (given as { readonly padding?: unknown });
  if (key.asymmetricKeyType === "rsa") return padding !== crypto.constants.RSA_PKCS1_PSS_PADDING;
  return key.asymmetricKeyType === "ed25519" || key.asymmetricKeyType === "ed448";
}

/** Draws a private key, which is what is recorded; the public one follows from it. */
function createGenerateKeys(original: Method): Method {
  return resemble<Method>(function (...input) {
    const capture = captured("crypto");
    if (capture === undefined) return Reflect.apply(original, this, input);
    const { call, conductor } = capture;
    const exchange = this as crypto.ECDH;
    let publicKey: unknown;
    const draw = (): Buffer => {
      publicKey = Reflect.apply(original, this, input);
      return exchange.getPrivateKey();
    };
    const effect = nextEffect(call, "crypto.generateKeys", draw);
    const privateKey = conductor.effect(effect, [], draw) as Buffer;
    if (publicKey !== undefined) return publicKey;
    if (exchange instanceof crypto.ECDH) {
      exchange.setPrivateKey(privateKey);
      return exchange.getPublicKey(...(input as []));
    }
    // A group has no such method, but a handle of the same kind. With a private key, only the public one is made.
    SETTING.setPrivateKey.call(exchange, privateKey);
    return Reflect.apply(original, this, input);
  }, original);
}

/** Given a length, it draws a prime. */
function createDiffieHellman(original: Method): Method {
  return resemble<Method>(function (...input) {
    const capture = typeof input[0] === "number" ? captured("crypto") : undefined;
    if (capture === undefined) return Reflect.apply(original, this, input);
    const { call, conductor } = capture;
    let made: crypto.DiffieHellman | undefined;
    const draw = (): readonly Buffer[] => {
      made = Reflect.apply(original, this, input) as crypto.DiffieHellman;
      return [made.getPrime(), made.getGenerator()];
    };
    const drawn = conductor.effect(nextEffect(call, "crypto.createDiffieHellman", draw), [input[0]], draw);
    return made ?? Reflect.apply(original, this, [...(drawn as readonly Buffer[])]);
  }, original);
}

function pairOf(value: unknown): { readonly publicKey: unknown; readonly privateKey: unknown } | undefined {
  const isPair = typeof value === "object" && value !== null && "publicKey" in value && "privateKey" in value;
  return isPair ? value : undefined;
}

/** What is recorded of a key or a pair; anything else is what it is. */
function exportAll(value: unknown): unknown {
  const pair = pairOf(value);
  if (pair === undefined) return exportKey(value);
  return { ...pair, publicKey: exportKey(pair.publicKey), privateKey: exportKey(pair.privateKey) };
}

function exportKey(key: unknown): unknown {
  if (!(key instanceof crypto.KeyObject)) return key;
  if (key.type === "secret") return { keyObject: key.type, bytes: key.export() } satisfies KeyBytes;
  const type = key.type === "public" ? "spki" : "pkcs8";
  const bytes = key.export({ format: "der", type } as crypto.KeyExportOptions<"der">);
  return { keyObject: key.type, bytes } satisfies KeyBytes;
}

function importAll(value: unknown): unknown {
  const pair = pairOf(value);
  if (pair === undefined) return importKey(value);
  return { ...pair, publicKey: importKey(pair.publicKey), privateKey: importKey(pair.privateKey) };
}

function importKey(recorded: unknown): unknown {
  if (typeof recorded !== "object" || recorded === null || !("keyObject" in recorded)) return recorded;
  const { keyObject, bytes } = recorded as KeyBytes;
  if (keyObject === "secret") return crypto.createSecretKey(bytes);
  return keyObject === "public"
    ? crypto.createPublicKey({ key: bytes, format: "der", type: "spki" })
    : crypto.createPrivateKey({ key: bytes, format: "der", type: "pkcs8" });
}
