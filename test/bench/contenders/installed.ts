/** Packages of the benchmark's own: they may be missing, and are then named as such. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The module with this name. `Module` is what is used of it. */
export async function installed<Module>(specifier: string): Promise<Module> {
  try {
    return (await import(specifier)) as Module;
  } catch (error) {
    const { code } = error as { code?: unknown };
    if (code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new Error(`${specifier} is not installed: npm ci --prefix test/bench/packages`, { cause: error });
  }
}

/** The version of an installed package. */
export function versionOf(packageName: string): string {
  for (let folder = dirname(fileURLToPath(import.meta.url)); ; folder = dirname(folder)) {
    const manifest = join(folder, "node_modules", packageName, "package.json");
    if (existsSync(manifest))
      return (JSON.parse(readFileSync(manifest, "utf8")) as { version: string }).version;
    if (folder === dirname(folder))
      throw new Error(`${packageName} is not installed: npm ci --prefix test/bench/packages`);
  }
}
