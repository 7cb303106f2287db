/**
 * `crypto.subtle`: what gives the same for the same is performed again in a replay, and what draws is recorded. A key that may
 * be exported is recorded as what its export gives; one that must not leave is not written down, and the run is not exact.
 */
import crypto from "node:crypto";
import { suspend } from "../stage/scopes.js";
import { captured, nextEffect } from "./captured.js";
import { computesPromise, type Method, nextComputation } from "./computed.js";
import { patch, resemble, type Undo } from "./patch.js";

type Subtle = typeof crypto.webcrypto.subtle;
type Key = crypto.webcrypto.CryptoKey;
type Usages = readonly crypto.webcrypto.KeyUsage[];
type Export = (format: string, key: Key) => Promise<unknown>;
type Import = (
  format: string,
  data: unknown,
  algorithm: unknown,
  extractable: boolean,
  usages: Usages,
) => Promise<Key>;

/** A key as it is recorded. */
interface ExportedKey {
  readonly format: string;
  readonly data: unknown;
  readonly usages: Usages;
}

interface ExportedPair {
  readonly publicKey: ExportedKey;
  readonly privateKey: ExportedKey;
}

const COMPUTES =
  /^(?:digest|verify|importKey|exportKey|deriveBits|deriveKey|decrypt|unwrapKey|decapsulateBits|decapsulateKey|getPublicKey)$/;
/** Whether the algorithm decides it, and which ones draw nothing. */
const BY_ALGORITHM: Readonly<Record<string, RegExp>> = {
  sign: /^(?:HMAC|KMAC\d+|RSASSA-PKCS1-v1_5|Ed25519|Ed448)$/i,
  encrypt: /^(?:AES-|ChaCha20)/i,
  wrapKey: /^(?:AES-|ChaCha20)/i,
};

export function patchSubtle(): Undo[] {
  const subtle = Object.getPrototypeOf(crypto.webcrypto.subtle) as Record<string, Method>;
  const methods = Object.getOwnPropertyNames(subtle).filter((name) => name !== "constructor");
  return methods.map((name) => patch(subtle, name, (original) => createMethod(name, original)));
}

function createMethod(name: string, original: Method): Method {
  const told = `crypto.subtle.${name}`;
  const computes = computesPromise("crypto", told, original);
  if (COMPUTES.test(name)) return computes;
  if (name === "generateKey") return createGenerateKey(told, original);
  const drawsNothing = BY_ALGORITHM[name];
  return resemble<Method>(function (...input) {
    const algorithm = nameOfAlgorithm(input[name === "wrapKey" ? 2 : 0]);
    if (drawsNothing?.test(algorithm) === true) return Reflect.apply(computes, this, input);
    const capture = captured("crypto");
    if (capture === undefined) return Reflect.apply(original, this, input);
    const { call, conductor } = capture;
    const perform = (): unknown => Reflect.apply(original, this, input);
    // Its result is a key, of which nobody can tell whether it may be written down.
    if (name === "encapsulateKey") {
      return conductor.effect({ ...nextComputation(call, told), doubt: doubtOf(told) }, [algorithm], perform);
    }
    return conductor.effect({ ...nextEffect(call, told), asynchronous: true }, [algorithm], perform);
  }, original);
}

function createGenerateKey(told: string, original: Method): Method {
  return resemble<Method>(function (...input) {
    const capture = captured("crypto");
    if (capture === undefined) return Reflect.apply(original, this, input);
    const { call, conductor } = capture;
    const generate = (): Promise<Key | crypto.webcrypto.CryptoKeyPair> =>
      Reflect.apply(original, this, input) as Promise<Key>;
    const algorithm = nameOfAlgorithm(input[0]);
    if (input[1] !== true) {
      return conductor.effect(
        { ...nextComputation(call, told), doubt: doubtOf(told) },
        [algorithm],
        generate,
      );
    }
    let made: Key | crypto.webcrypto.CryptoKeyPair | undefined;
    const exported = conductor.effect({ ...nextEffect(call, told), asynchronous: true }, [algorithm], () =>
      suspend(async () => {
        made = await generate();
        return exportAll(made);
      }),
    ) as Promise<ExportedKey | ExportedPair>;
    // Imported in a replay alone; but an end in the order there is an end in the order here.
    return exported.then((plain) =>
      conductor.effect(nextComputation(call, `${told}.import`), [], () =>
        suspend(async () => made ?? importAll(plain, input[0])),
      ),
    );
  }, original);
}

function doubtOf(told: string): string {
  return `${told} made a key that must not be exported, so that it is not recorded: a replay makes another one.`;
}

async function exportAll(made: Key | crypto.webcrypto.CryptoKeyPair): Promise<ExportedKey | ExportedPair> {
  if (!("privateKey" in made)) return exportKey(made, "jwk");
  const [publicKey, privateKey] = await Promise.all([
    exportKey(made.publicKey, "spki"),
    exportKey(made.privateKey, "pkcs8"),
  ]);
  return { publicKey, privateKey };
}

async function exportKey(key: Key, format: string): Promise<ExportedKey> {
  const { subtle } = crypto.webcrypto;
  const data = await (subtle.exportKey as Export).call(subtle, format, key);
  return { format, data, usages: [...key.usages] };
}

async function importAll(
  plain: ExportedKey | ExportedPair,
  algorithm: unknown,
): Promise<Key | crypto.webcrypto.CryptoKeyPair> {
  if (!("privateKey" in plain)) return importKey(plain, algorithm);
  const [publicKey, privateKey] = await Promise.all([
    importKey(plain.publicKey, algorithm),
    importKey(plain.privateKey, algorithm),
  ]);
  return { publicKey, privateKey };
}

function importKey({ format, data, usages }: ExportedKey, algorithm: unknown): Promise<Key> {
  const { subtle }: { readonly subtle: Subtle } = crypto.webcrypto;
  return (subtle.importKey as unknown as Import).call(subtle, format, data, algorithm, true, usages);
}

/** Web Crypto takes it as a text, or as an object that has one. */
function nameOfAlgorithm(algorithm: unknown): string {
  if (typeof algorithm === "string") return algorithm;
  if (typeof algorithm !== "object" || algorithm === null) return "";
  const name = Object.getOwnPropertyDescriptor(algorithm, "name")?.value as unknown;
  return typeof name === "string" ? name : "";
}
