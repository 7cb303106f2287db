import { createHash, generateKeyPairSync, randomBytes, randomUUID, scrypt, webcrypto } from "node:crypto";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { promisify } from "node:util";
import { brotliCompress, createGzip, gunzip, gzip } from "node:zlib";
import type { Row } from "./row.js";

export const tokensAndCompression: readonly Row[] = [
  ...[true, false].map(
    (extractable): Row => ({
      name: `jose: HMAC and elliptic curves, keys that ${extractable ? "may" : "must not"} be exported`,
      packages: ["jose"],
      madeExact: "nothing",
      make: async () => {
        const jose = await import("jose");
        const secret = new TextEncoder().encode("0123456789abcdef0123456789abcdef");
        return {
          run: async (id) => {
            const { privateKey, publicKey } = await jose.generateKeyPair("ES256", { extractable });
            const sign = (alg: string, key: Uint8Array | typeof privateKey) =>
              new jose.SignJWT({ id })
                .setProtectedHeader({ alg })
                .setIssuedAt()
                .setJti(randomUUID())
                .sign(key as typeof privateKey);
            const tokens = [await sign("HS256", secret), await sign("ES256", privateKey)];
            const { payload } = await jose.jwtVerify(tokens[0] as string, secret);
            return [tokens, payload, (await jose.jwtVerify(tokens[1] as string, publicKey)).payload];
          },
        };
      },
    }),
  ),
  {
    name: "jsonwebtoken: HMAC and RSA",
    packages: ["jsonwebtoken"],
    madeExact: "nothing",
    make: async () => {
      const { default: jwt } = await import("jsonwebtoken");
      // A service reads its keys from somewhere: here they are the same for the process that replays.
      const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
      return {
        run: async (id) => {
          const token = jwt.sign({ id, chance: Math.random() }, "secret", { expiresIn: 60 });
          const later = await new Promise((resolve) =>
            jwt.verify(token, "secret", (_error, payload) => resolve(payload)),
          );
          const failed = ((): unknown => {
            try {
              return jwt.verify(token, privateKey, { algorithms: ["RS256"] });
            } catch (error) {
              return (error as Error).message;
            }
          })();
          return [token, later, failed];
        },
      };
    },
  },
  {
    name: "node:zlib: callbacks and streams",
    packages: [],
    madeExact: "nothing",
    make: async () => ({
      run: async (id) => {
        const text = `${id} ${Math.random()} `.repeat(500);
        const packed = await promisify(gzip)(text);
        const chunks: Buffer[] = [];
        await pipeline(Readable.from([text]), createGzip(), async (source: AsyncIterable<Buffer>) => {
          for await (const chunk of source) chunks.push(chunk);
        });
        const [small, whole] = await Promise.all([
          promisify(brotliCompress)(text),
          promisify(gunzip)(packed),
        ]);
        return [packed.length, Buffer.concat(chunks).length, small.length, whole.toString() === text, text];
      },
    }),
  },
  {
    name: "node:crypto: hashes, derivation, randomness, subtle",
    packages: [],
    madeExact: "nothing",
    make: async () => ({
      run: async (id) => {
        const salt = randomBytes(16);
        const key = (await promisify(scrypt)(`password ${id}`, salt, 32)) as Buffer;
        const digest = await webcrypto.subtle.digest("SHA-256", key);
        const secret = await webcrypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, true, [
          "encrypt",
        ]);
        const sealed = await webcrypto.subtle.encrypt(
          { name: "AES-GCM", iv: webcrypto.getRandomValues(new Uint8Array(12)) },
          secret,
          key,
        );
        return [
          createHash("sha256").update(key).digest("hex"),
          Buffer.from(digest).toString("hex"),
          Buffer.from(sealed).toString("hex"),
          randomUUID(),
        ];
      },
    }),
  },
];
