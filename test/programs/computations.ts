/** Deterministic work that the platform does elsewhere, and modules that are loaded: for random programs. */
import crypto, { createHash, webcrypto } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import zlib from "node:zlib";

const { subtle } = webcrypto;

async function bytesOf(stream: AsyncIterable<unknown>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** Each gives the same for the same text, on each line of Node. */
export const COMPUTATIONS = {
  gzip: async (text: string) => (await promisify(zlib.gunzip)(await promisify(zlib.gzip)(text))).length,
  brotli: async (text: string) => {
    const params = { [zlib.constants.BROTLI_PARAM_QUALITY]: 1 };
    return zlib.brotliDecompressSync(await promisify(zlib.brotliCompress)(text, { params })).length;
  },
  inflateStream: async (text: string) => {
    const inflate = zlib.createInflate({ chunkSize: 4_096 });
    return (await bytesOf(Readable.from([zlib.deflateSync(text)]).pipe(inflate))).length;
  },
  gzipStream: async (text: string) =>
    zlib.gunzipSync(await bytesOf(Readable.from([text, text]).pipe(zlib.createGzip({ level: 1 })))).length,
  compressionStream: async (text: string) =>
    zlib.inflateSync(await bytesOf(new Blob([text]).stream().pipeThrough(new CompressionStream("deflate"))))
      .length,
  hashStream: async (text: string) =>
    (await bytesOf(Readable.from([text]).pipe(createHash("sha256")))).toString("hex"),
  digest: async (text: string) =>
    Buffer.from(await subtle.digest("SHA-1", Buffer.from(text))).toString("hex"),
  pbkdf2: async (text: string) =>
    (await promisify(crypto.pbkdf2)(text.slice(0, 99), "s", 5, 8, "sha1")).toString("hex"),
  signature: async (text: string) => {
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const key = await subtle.importKey("raw", Buffer.from("key"), algorithm, false, ["sign", "verify"]);
    return subtle.verify("HMAC", key, await subtle.sign("HMAC", key, Buffer.from(text)), Buffer.from(text));
  },
  key: async () => {
    const { publicKey } = await promisify(crypto.generateKeyPair)("ed25519");
    return publicKey.export({ type: "spki", format: "pem" });
  },
  fill: async () => {
    const filled = await promisify<Uint8Array, Uint8Array>(crypto.randomFill)(new Uint8Array(4));
    return [...filled, ...crypto.randomFillSync(new Uint8Array(2))].join();
  },
} satisfies Record<string, (text: string) => Promise<unknown>>;

export type Computation = keyof typeof COMPUTATIONS;

/** Loads one of the modules that programs import, by its number. */
export type LoadModule = (module: number) => Promise<{ readonly value: unknown }>;

/**
 * Those of a folder: each depends on those before it, and reads the clock when it is evaluated. By `require`, so that it is
 * Node's own `import()`, and not that of who runs the tests.
 */
export function modulesOf(folder: string): LoadModule {
  return (createRequire(import.meta.url)(join(folder, "load.cjs")) as { readonly load: LoadModule }).load;
}

export const MODULE_COUNT = 4;

/** Those of this repository. Loaded by now: who runs the tests may have hooks in the loader of Node 20, which nobody can follow. */
export async function loadedModules(): Promise<LoadModule> {
  const load = modulesOf(fileURLToPath(new URL("modules", import.meta.url)));
  for (let module = 0; module < MODULE_COUNT; module++) await load(module);
  return load;
}
