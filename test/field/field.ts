/**
 * Tests with packages and servers that may not be there. The packages are installed apart (`npm run field:install`)
 * and the servers run where they run: a suite that misses one is skipped under a name that says so.
 */
import { existsSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { describe } from "vitest";

/** Where each server listens, on loopback. */
const PORTS = { postgres: 5432, redis: 6379, nats: 4222, rabbitmq: 5672, mariadb: 3306 } as const;

export type Server = keyof typeof PORTS;

export interface FieldNeeds {
  /** Packages of `test/field/packages`. */
  readonly packages?: readonly string[];
  readonly servers?: readonly Server[];
  /** The oldest major of Node that runs it. */
  readonly node?: number;
}

const MODULES = join(import.meta.dirname, "packages/node_modules");

/** Whether a package of `test/field/packages` is installed. */
export function isInstalled(name: string): boolean {
  return existsSync(join(MODULES, name, "package.json"));
}

const CONNECT_MILLISECONDS = 2_000;

/** Whether a server answers on loopback. */
export function isRunning(server: Server): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ host: "127.0.0.1", port: PORTS[server] });
    const end = (running: boolean): void => {
      socket.destroy();
      resolve(running);
    };
    socket.setTimeout(CONNECT_MILLISECONDS, () => end(false));
    socket.once("connect", () => end(true));
    socket.once("error", () => end(false));
  });
}

/** What is missing here, in words; empty where nothing is. */
export async function missing({ packages = [], servers = [], node = 0 }: FieldNeeds): Promise<string[]> {
  const absent = packages.filter((name) => !isInstalled(name)).map((name) => `package ${name}`);
  for (const server of servers) if (!(await isRunning(server))) absent.push(`a ${server} server on loopback`);
  const major = Number.parseInt(process.versions.node, 10);
  if (major < node) absent.push(`Node ${node}`);
  return absent;
}

/** `describe`, for a suite that needs packages or servers. To be awaited at the top of a test file. */
export async function field(name: string, needs: FieldNeeds, body: () => void): Promise<void> {
  const absent = await missing(needs);
  if (absent.length === 0) describe(name, body);
  else describe.skip(`${name} (skipped: no ${absent.join(", no ")})`, body);
}
