/** Deterministic work and everyday calls of real packages: no alarm, and exact, with the server gone. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brotliCompressSync, constants, deflateSync, gzipSync } from "node:zlib";
import { hindcast, memoryStore } from "hindcast";
import { httpCapture } from "hindcast/http";
import { explain, readCapsule, replay } from "hindcast/replay";
import { expect, test } from "vitest";
import { field } from "./field.js";

const PACKED = {
  gzip: gzipSync,
  br: (text: string) => brotliCompressSync(text, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }),
  deflate: deflateSync,
};
type Encoding = keyof typeof PACKED;
const AT_ONCE = 8;

/** Answers with something else each time, packed as it is asked to. */
async function startServer() {
  const server = createServer((request, response) => {
    const { searchParams } = new URL(request.url ?? "/", "http://localhost");
    const encoding = searchParams.get("encoding") as Encoding;
    const padding = Array.from({ length: Number(searchParams.get("size")) / 8 }, () =>
      Math.random().toString(36).slice(2, 10),
    );
    const body = PACKED[encoding](JSON.stringify({ drawn: Math.random(), padding: padding.join("") }));
    response.writeHead(200, { "content-type": "application/json", "content-encoding": encoding });
    setTimeout(() => response.end(body), Math.random() * 3);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Records `body` in sequence and at once; what it reaches is gone when it is replayed. */
async function holds(body: () => Promise<unknown>, gone: () => void = () => undefined): Promise<void> {
  const warnings: string[] = [];
  const logger = { warn: (_fields: object, message: string) => void warnings.push(message) };
  const store = memoryStore({ bytes: 512 * 1024 * 1024 });
  await using hc = hindcast({ service: "field", store, capture: { http: httpCapture() }, logger });
  const decide = hc.decide(
    { name: "decide" },
    (value: unknown) => JSON.stringify(value)?.slice(0, 200) ?? "",
  );
  const program = hc.pipeline({ name: "program" }, async () => {
    const branch = async (): Promise<string> => decide(await body());
    return [...(await Promise.all([branch(), branch()])), Math.random()];
  });
  for (let count = 0; count < 2; count++) await program();
  await Promise.all(Array.from({ length: AT_ONCE }, () => program()));
  await hc.flush();
  gone();
  let replayed = 0;
  for await (const stored of store.find({ pipeline: "program" })) {
    replayed += 1;
    expect(readCapsule(stored).replayable.reasons).toEqual([]);
    const result = await replay(stored, program);
    expect(result.verdict, explain(result)).toBe("identical");
  }
  expect([replayed, warnings]).toEqual([2 + AT_ONCE, []]);
}

const CLIENTS: Readonly<Record<string, (url: string) => Promise<unknown>>> = {
  axios: async (url) => (await (await import("axios")).default.get<{ drawn: number }>(url)).data.drawn,
  got: async (url) => (await (await import("got")).default(url).json<{ drawn: number }>()).drawn,
  "node-fetch": async (url) => {
    const response = await (await import("node-fetch")).default(url);
    return ((await response.json()) as { drawn: number }).drawn;
  },
  superagent: async (url) => {
    const response = await (await import("superagent")).default.get(url);
    return (response.body as { drawn: number }).drawn;
  },
};

for (const [name, ask] of Object.entries(CLIENTS)) {
  await field(`${name} and packed bodies`, { packages: [name] }, () => {
    test.each(
      (["gzip", "br", "deflate"] as const).flatMap((encoding) => [
        [encoding, 100],
        [encoding, 500_000],
      ]),
    )(
      "%s, %i bytes",
      async (encoding, size) => {
        const server = await startServer();
        await ask(`${server.url}/?encoding=${encoding}&size=10`); // loaded by now: who runs the tests loads for itself
        await holds(() => ask(`${server.url}/?encoding=${encoding}&size=${size}`), server.close);
      },
      120_000,
    );
  });
}

await field("JWT", { packages: ["jose", "jsonwebtoken"] }, () => {
  test("jose signs and verifies, with HMAC, RSA and elliptic curves", async () => {
    const jose = await import("jose");
    const secret = new TextEncoder().encode("0123456789abcdef0123456789abcdef");
    const rsa = await jose.generateKeyPair("RS256");
    const elliptic = await jose.generateKeyPair("ES256");
    const sign = (alg: string, key: Parameters<InstanceType<typeof jose.SignJWT>["sign"]>[0]) =>
      new jose.SignJWT({ by: "test" })
        .setProtectedHeader({ alg })
        .setIssuedAt()
        .setExpirationTime("1h")
        .sign(key);
    await holds(async () => {
      const tokens = [
        await sign("HS256", secret),
        await sign("RS256", rsa.privateKey),
        await sign("ES256", elliptic.privateKey),
      ];
      await Promise.all([
        jose.jwtVerify(tokens[0] as string, secret),
        jose.jwtVerify(tokens[1] as string, rsa.publicKey),
        jose.jwtVerify(tokens[2] as string, elliptic.publicKey),
      ]);
      const failed = await jose
        .jwtVerify(tokens[0] as string, rsa.publicKey)
        .catch((error: Error) => error.name);
      return [tokens, failed];
    });
  });

  test("jose encrypts and decrypts", async () => {
    const jose = await import("jose");
    const secret = new Uint8Array(32).fill(7);
    await holds(async () => {
      const token = await new jose.EncryptJWT({ by: "test" })
        .setProtectedHeader({ alg: "dir", enc: "A256GCM" })
        .encrypt(secret);
      return [token, (await jose.jwtDecrypt(token, secret)).payload];
    });
  });

  test("jsonwebtoken signs and verifies, at once and with callbacks", async () => {
    const { default: jwt } = await import("jsonwebtoken");
    await holds(async () => {
      const token = jwt.sign({ by: "test" }, "secret", { expiresIn: 60 });
      const later = await new Promise((resolve) =>
        jwt.verify(token, "secret", (_error, payload) => resolve(payload)),
      );
      return [token, jwt.verify(token, "secret"), later];
    });
  });
});

await field("logging and metrics", { packages: ["pino", "winston", "prom-client"] }, () => {
  test("pino, winston and prom-client", async () => {
    const folder = mkdtempSync(join(tmpdir(), "hindcast-field-"));
    const { default: pino } = await import("pino");
    const { default: winston } = await import("winston");
    const { default: metrics } = await import("prom-client");
    const destination = pino.destination({ dest: join(folder, "pino.log"), sync: false });
    const log = pino(destination);
    const logger = winston.createLogger({
      transports: [new winston.transports.File({ filename: join(folder, "winston.log") })],
    });
    metrics.collectDefaultMetrics();
    const seconds = new metrics.Histogram({ name: "seconds", help: "how long it took" });
    try {
      await holds(async () => {
        const end = seconds.startTimer();
        log.info({ step: 1 }, "began");
        logger.info("began", { step: 1 });
        await new Promise((resolve) => setTimeout(resolve, 2));
        end();
        log.info({ step: 2 }, "ended");
        logger.warn("ended", { step: 2 });
        process.memoryUsage();
        return "done";
      });
    } finally {
      logger.close();
      destination.end();
      metrics.register.clear();
      await new Promise((resolve) => setTimeout(resolve, 50));
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
