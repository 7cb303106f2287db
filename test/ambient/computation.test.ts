import crypto, { createHash, hkdf, pbkdf2, randomInt, scrypt, webcrypto } from "node:crypto";
import { once } from "node:events";
import { PassThrough, Readable } from "node:stream";
import { pipeline as pipeStreams } from "node:stream/promises";
import { setTimeout as wait } from "node:timers/promises";
import { promisify } from "node:util";
import zlib from "node:zlib";
import { hindcast } from "hindcast";
import { explain, readCapsule, replay } from "hindcast/replay";
import { afterEach, describe, expect, test } from "vitest";

const { subtle } = webcrypto;
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
});

const text = (length: number): string => Array.from({ length }, (_, index) => `${index * 7919} `).join("");
const hex = (bytes: unknown): string => Buffer.from(bytes as Uint8Array).toString("hex");
const callback = <T>(
  begin: (done: (error: Error | null | undefined, value: T) => void) => void,
): Promise<T> =>
  new Promise((resolve, reject) => begin((error, value) => (error == null ? resolve(value) : reject(error))));

async function through(
  transform: NodeJS.ReadWriteStream,
  chunks: readonly (string | Buffer)[],
): Promise<Buffer> {
  const read: Buffer[] = [];
  for await (const chunk of Readable.from(chunks).pipe(transform)) read.push(chunk as Buffer);
  return Buffer.concat(read);
}

const rsa = crypto.generateKeyPairSync("rsa", { modulusLength: 1024 });
const elliptic = crypto.generateKeyPairSync("ec", { namedCurve: "P-256" });
const edwards = crypto.generateKeyPairSync("ed25519");
const aes = await subtle.importKey("raw", Buffer.alloc(16, 7), "AES-GCM", true, ["encrypt", "decrypt"]);
const hmac = await subtle.importKey("raw", Buffer.alloc(16, 7), { name: "HMAC", hash: "SHA-256" }, true, [
  "sign",
  "verify",
]);
const ecdsa = await subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, ["sign", "verify"]);
const wasm = Uint8Array.from([
  0, 97, 115, 109, 1, 0, 0, 0, 1, 5, 1, 96, 0, 1, 127, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 6, 1, 4, 0, 65,
  42, 11,
]);

/** The types of Node have none. */
const webAssembly = Reflect.get(globalThis, "WebAssembly") as {
  readonly Module: { exports(module: unknown): unknown[] };
  compile(bytes: Uint8Array): Promise<unknown>;
  instantiate(bytes: Uint8Array): Promise<{ instance: { exports: Record<string, unknown> } }>;
};

/** Gives the same whenever it is asked; `see` is told of what is seen on the way. */
type Work = (see: (what: string) => void) => Promise<unknown>;

const COMPUTATIONS: Readonly<Record<string, Work>> = {
  "zlib.gzip": async () => hex(await promisify(zlib.gzip)(text(50))),
  "zlib.gzip and gunzip, large": async () =>
    (await promisify(zlib.gunzip)(await promisify(zlib.gzip)(text(50_000)))).length,
  "zlib.deflate with options": async () =>
    hex(await callback((done) => zlib.deflate(text(9), { level: 1 }, done))),
  "zlib.brotliCompress": async () => hex(await promisify(zlib.brotliCompress)("text")),
  "zlib.gunzip of what is none": async () =>
    promisify(zlib.gunzip)("none").catch((error: unknown) => (error as NodeJS.ErrnoException).code),
  "a gzip stream, piped": async () => hex(await through(zlib.createGzip(), ["a", text(5_000), "b"])),
  "a gunzip stream, piped": async (see) => {
    const gunzip = zlib.createGunzip().on("data", (chunk: Buffer) => see(`${chunk.length}`));
    return (await through(gunzip, [zlib.gzipSync(text(40_000))])).length;
  },
  "a brotli stream": async () => hex(await through(zlib.createBrotliCompress(), ["a", "b"])),
  "a gunzip stream that is cut": async () =>
    through(zlib.createGunzip(), [zlib.gzipSync(text(500)).subarray(0, 300)]).catch((error: unknown) =>
      String(error),
    ),
  "a gunzip stream of what is none": async () =>
    through(zlib.createGunzip(), ["none at all"]).catch((error: unknown) => String(error)),
  "a deflate stream that is flushed": async (see) => {
    const deflate = zlib.createDeflate();
    const read: Buffer[] = [];
    deflate.on("data", (chunk: Buffer) => read.push(chunk));
    deflate.write("first");
    await new Promise<void>((done) => deflate.flush(done));
    see(`${read.length}`);
    deflate.end("second");
    await once(deflate, "end");
    return hex(Buffer.concat(read));
  },
  "streams in a pipeline": async () => {
    const end = new PassThrough();
    const [read] = await Promise.all([
      end.toArray(),
      pipeStreams(Readable.from([text(3_000)]), zlib.createGzip(), zlib.createGunzip(), end),
    ]);
    return Buffer.concat(read as Buffer[]).length;
  },
  "CompressionStream and DecompressionStream": async () => {
    const compressed = new Blob([text(3_000)]).stream().pipeThrough(new CompressionStream("gzip"));
    return (await new Response(compressed.pipeThrough(new DecompressionStream("gzip"))).text()).length;
  },
  "a slow reader of a gunzip stream": async (see) => {
    const gunzip = zlib.createGunzip({ chunkSize: 2_000 });
    gunzip.end(zlib.gzipSync(text(4_000)));
    let length = 0;
    for await (const chunk of gunzip) {
      length += (chunk as Buffer).length;
      if (length % 3 === 0) await wait(1);
      see(String(length));
    }
    return length;
  },
  "crypto.pbkdf2": async () => hex(await promisify(pbkdf2)("p", "s", 10, 8, "sha256")),
  "crypto.scrypt": async () => hex(await promisify(scrypt)("p", "s", 8)),
  "crypto.hkdf": async () => hex(await promisify(hkdf)("sha256", "k", "s", "i", 8)),
  "crypto.checkPrime": async () => promisify(crypto.checkPrime)(7n),
  "crypto.verify with a callback": async () => {
    const signature = crypto.sign("sha256", Buffer.from("a"), rsa.privateKey);
    return callback((done) => crypto.verify("sha256", Buffer.from("a"), rsa.publicKey, signature, done));
  },
  "crypto.sign without randomness, with a callback": async () =>
    hex(await callback<Buffer>((done) => crypto.sign(null, Buffer.from("a"), edwards.privateKey, done))),
  "a hash as a stream": async () => hex(await through(createHash("sha256"), [text(500), text(10)])),
  "a cipher as a stream": async () =>
    hex(await through(crypto.createCipheriv("aes-128-ctr", Buffer.alloc(16), Buffer.alloc(16)), [text(500)])),
  "subtle.digest": async () => hex(await subtle.digest("SHA-256", Buffer.from("a"))),
  "subtle.sign and verify with HMAC": async () => {
    const signature = await subtle.sign("HMAC", hmac, Buffer.from("a"));
    return [hex(signature), await subtle.verify("HMAC", hmac, signature, Buffer.from("a"))];
  },
  "subtle.encrypt and decrypt with a given iv": async () => {
    const algorithm = { name: "AES-GCM", iv: Buffer.alloc(12) };
    const encrypted = await subtle.encrypt(algorithm, aes, Buffer.from("a"));
    return [hex(encrypted), hex(await subtle.decrypt(algorithm, aes, encrypted))];
  },
  "subtle.importKey, deriveBits": async () => {
    const key = await subtle.importKey("raw", Buffer.from("a"), "PBKDF2", false, ["deriveBits"]);
    const algorithm = { name: "PBKDF2", salt: Buffer.from("s"), iterations: 10, hash: "SHA-256" };
    return hex(await subtle.deriveBits(algorithm, key, 64));
  },
  "subtle.decrypt that fails": async () =>
    subtle
      .decrypt({ name: "AES-GCM", iv: Buffer.alloc(12) }, aes, Buffer.alloc(20))
      .catch((error: Error) => error.name),
  "WebAssembly.compile": async () => webAssembly.Module.exports(await webAssembly.compile(wasm)).length,
  "WebAssembly.instantiate": async () => {
    const { instance } = await webAssembly.instantiate(wasm);
    return (instance.exports["f"] as () => number)();
  },
};

/** Gives something else whenever it is asked. */
const DRAWS: Readonly<Record<string, Work>> = {
  "crypto.randomFillSync": async () => hex(crypto.randomFillSync(Buffer.alloc(8))),
  "crypto.randomFillSync of a part": async () => Array.from(crypto.randomFillSync(new Uint16Array(8), 2, 3)),
  "crypto.randomFillSync of an ArrayBuffer": async () =>
    hex(crypto.randomFillSync(new ArrayBuffer(8) as never)),
  "crypto.randomFill": async () => hex(await callback((done) => crypto.randomFill(Buffer.alloc(8), done))),
  "crypto.randomFill of a part": async () =>
    Array.from(await callback<Uint32Array>((done) => crypto.randomFill(new Uint32Array(4), 1, 2, done))),
  "crypto.randomInt with a callback": async () => callback((done) => randomInt(1_000_000, done)),
  "crypto.pseudoRandomBytes": async () => hex(crypto.pseudoRandomBytes(8)),
  "crypto.generatePrime": async () =>
    String(await callback((done) => crypto.generatePrime(32, { bigint: true }, done))),
  "crypto.generatePrimeSync": async () => hex(crypto.generatePrimeSync(32)),
  "crypto.generateKeySync": async () => hex(crypto.generateKeySync("hmac", { length: 64 }).export()),
  "crypto.generateKey": async () =>
    hex((await promisify(crypto.generateKey)("aes", { length: 128 })).export()),
  "crypto.generateKeyPairSync": async () => {
    const { privateKey, publicKey } = crypto.generateKeyPairSync("ed25519");
    const signature = crypto.sign(null, Buffer.from("a"), privateKey);
    return [hex(signature), crypto.verify(null, Buffer.from("a"), publicKey, signature)];
  },
  "crypto.generateKeyPair": async () => {
    const { privateKey, publicKey } = await promisify(crypto.generateKeyPair)("ec", { namedCurve: "P-256" });
    return [privateKey.export({ format: "jwk" }), publicKey.asymmetricKeyType];
  },
  "crypto.generateKeyPair in PEM": async () =>
    promisify(crypto.generateKeyPair)("ed25519", {
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
    }),
  "crypto.sign with ECDSA": async () => hex(crypto.sign("sha256", Buffer.from("a"), elliptic.privateKey)),
  "crypto.sign with RSA-PSS and a callback": async () => {
    const key = { key: rsa.privateKey, padding: crypto.constants.RSA_PKCS1_PSS_PADDING };
    return hex(await callback<Buffer>((done) => crypto.sign("sha256", Buffer.from("a"), key, done)));
  },
  "Sign.sign with ECDSA in PEM": async () =>
    crypto
      .createSign("sha256")
      .update("a")
      .sign(elliptic.privateKey.export({ type: "pkcs8", format: "pem" }), "base64url"),
  "crypto.publicEncrypt": async () => hex(crypto.publicEncrypt(rsa.publicKey, Buffer.from("a"))),
  "an ECDH key": async () => {
    const exchange = crypto.createECDH("prime256v1");
    return [
      exchange.generateKeys("hex"),
      exchange.getPrivateKey("hex"),
      exchange.getPublicKey("hex", "compressed"),
    ];
  },
  "a Diffie-Hellman key": async () => {
    const exchange = crypto.getDiffieHellman("modp1");
    return [exchange.generateKeys("hex"), exchange.getPrivateKey("hex")];
  },
  "subtle.generateKey, symmetrical": async () => {
    const key = await subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, true, ["sign"]);
    return [hex(await subtle.sign("HMAC", key, Buffer.from("a"))), key.usages];
  },
  "subtle.generateKey, a pair": async () => {
    const { privateKey, publicKey } = await subtle.generateKey({ name: "ECDSA", namedCurve: "P-256" }, true, [
      "sign",
      "verify",
    ]);
    const algorithm = { name: "ECDSA", hash: "SHA-256" };
    const signature = await subtle.sign(algorithm, privateKey, Buffer.from("a"));
    return [
      hex(signature),
      await subtle.verify(algorithm, publicKey, signature, Buffer.from("a")),
      await subtle.exportKey("jwk", publicKey),
    ];
  },
  "subtle.sign with ECDSA": async () =>
    hex(await subtle.sign({ name: "ECDSA", hash: "SHA-256" }, ecdsa.privateKey, Buffer.from("a"))),
};

/** Records a program in which `work` goes on beside effects, timers and stages, and replays it. */
async function recordAndReplay(work: Work) {
  const hc = hindcast({ service: "computation", logger: { warn: () => undefined } });
  closing.push(() => hc.close());
  let seen: string[] = [];
  const load = hc.effect({ name: "load" }, async (delay: number) => {
    await wait(delay);
    return delay;
  });
  const stage = hc.decide({ name: "stage" }, (value: unknown) => JSON.stringify(value));
  const program = hc.pipeline({ name: "program" }, async () => {
    const mine: string[] = [];
    seen = mine;
    const see = (what: string) => void mine.push(what);
    const branch = async (name: string, body: () => Promise<unknown>): Promise<unknown> => {
      const value = await body();
      see(`${name}: ${stage(value)}`);
      return value;
    };
    return Promise.all([
      branch("a", () => work((what) => see(`a ${what}`))),
      branch("b", async () => [await load(Math.random() * 3), await work((what) => see(`b ${what}`))]),
      branch("c", () => wait(Math.random() * 3)),
      branch(
        "d",
        async () => (await work(() => undefined), await load(1), await work((what) => see(`d ${what}`))),
      ),
      branch("e", async () => Math.random()),
    ]);
  });
  const orders = new Map<string, string[]>();
  const record = async (): Promise<void> => {
    await program();
    orders.set(JSON.stringify(seen), seen);
  };
  for (let count = 0; count < 2; count++) await record();
  await Promise.all([program(), program(), program()]);
  await hc.flush();
  const results: object[] = [];
  for await (const stored of hc.store.find()) {
    const { exact, reasons } = readCapsule(stored).replayable;
    const result = await replay(stored, program);
    results.push({
      exact,
      reasons,
      verdict: result.verdict,
      told: result.verdict === "identical" ? "" : explain(result),
    });
    orders.delete(JSON.stringify(seen));
  }
  expect(orders.size).toBe(0); // each order was seen again in its replay
  return results;
}

const IDENTICAL = { exact: true, reasons: [], verdict: "identical", told: "" };

describe("G4, G7: deterministic work is performed again in a replay, in its recorded place, and is no alarm", () => {
  test.each(Object.entries(COMPUTATIONS))("%s", async (_name, work) => {
    expect(await recordAndReplay(work)).toEqual(Array(5).fill(IDENTICAL));
  });
});

describe("G4: what draws randomness is recorded", () => {
  test.each(Object.entries(DRAWS))("%s", async (_name, work) => {
    expect(await recordAndReplay(work)).toEqual(Array(5).fill(IDENTICAL));
  });
});

test("G7: a key that must not be exported is not recorded, and the run says so", async () => {
  const hc = hindcast({ service: "computation", logger: { warn: () => undefined } });
  closing.push(() => hc.close());
  const program = hc.pipeline({ name: "program" }, async () => {
    const key = await subtle.generateKey({ name: "HMAC", hash: "SHA-256" }, false, ["sign"]);
    return key.extractable;
  });
  expect(await program()).toBe(false);
  await hc.flush();
  for await (const stored of hc.store.find()) {
    expect(readCapsule(stored).replayable.reasons.map(({ code, name }) => [code, name])).toEqual([
      ["lost", "crypto.subtle.generateKey"],
    ]);
    expect((await replay(stored, program)).verdict).toBe("identical");
  }
});

test("what is computed is computed in a what-if too, whatever it says of the effect", async () => {
  const hc = hindcast({ service: "computation" });
  closing.push(() => hc.close());
  const pack = hc.tool({ name: "pack" }, async (value: string) => (await promisify(zlib.gzip)(value)).length);
  const program = hc.pipeline({ name: "program" }, async () => [await pack("first"), await pack(text(100))]);
  const value = await program();
  await hc.flush();
  const other = async (given: string): Promise<number> => (await promisify(zlib.deflateRaw)(given)).length;
  for await (const stored of hc.store.find({ pipeline: "program" })) {
    const result = await replay(stored, program, { effects: { "zlib.gzip": "recorded" } });
    expect(result.outcome).toEqual({ status: "ok", value });
    const changed = await replay(stored, program, { stages: { pack: other } });
    expect(changed.outcome).toEqual({
      status: "ok",
      value: [zlib.deflateRawSync("first").length, zlib.deflateRawSync(text(100)).length],
    });
    expect(changed.stale).toEqual([]);
  }
});

test("G4: a prime for Diffie-Hellman is recorded", async () => {
  const hc = hindcast({ service: "computation" });
  closing.push(() => hc.close());
  const program = hc.pipeline({ name: "program" }, async () => {
    const exchange = crypto.createDiffieHellman(512);
    return [exchange.getPrime("hex"), exchange.getGenerator("hex"), exchange.generateKeys("hex")];
  });
  await program();
  await hc.flush();
  for await (const stored of hc.store.find())
    expect((await replay(stored, program)).verdict).toBe("identical");
}, 60_000);

test("nothing that is computed is in a capsule", async () => {
  const hc = hindcast({ service: "computation" });
  closing.push(() => hc.close());
  const program = hc.pipeline(
    { name: "program" },
    async () => (await promisify(zlib.gzip)(text(20_000))).length,
  );
  await program();
  await hc.flush();
  for await (const stored of hc.store.find()) {
    expect(readCapsule(stored).effects.map(({ name }) => name)).toEqual(["zlib.gzip"]);
    expect(stored.bytes.length).toBeLessThan(3_000);
  }
});

test("a stream holds back what nobody reads, as it does without the library", async () => {
  const hc = hindcast({ service: "computation" });
  closing.push(() => hc.close());
  const inflate = async (): Promise<number> => {
    const gunzip = zlib.createGunzip();
    gunzip.end(zlib.gzipSync(Buffer.alloc(5_000_000)));
    gunzip.read(0);
    await wait(60);
    const held = gunzip.readableLength;
    gunzip.destroy();
    return held;
  };
  expect(await hc.pipeline({ name: "program" }, inflate)()).toBe(await inflate());
});

test("outside of runs, and with the source left alone, everything is itself", async () => {
  const before = zlib.gzip;
  const hc = hindcast({
    service: "computation",
    capture: { computation: false },
    logger: { warn: () => undefined },
  });
  expect(zlib.gzip).toBe(before);
  await hc.close();
  const other = hindcast({ service: "computation" });
  expect(zlib.gzip).not.toBe(before);
  expect(hex(await promisify(zlib.gzip)("a"))).toBe(hex(zlib.gzipSync("a")));
  await other.close();
  expect(zlib.gzip).toBe(before);
});
