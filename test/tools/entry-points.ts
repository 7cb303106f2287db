import { readFileSync } from "node:fs";
import { join } from "node:path";

export const repositoryRoot = join(import.meta.dirname, "../..");

interface PackageManifest {
  name: string;
  exports: Record<string, string | Record<string, string>>;
  scripts: Record<string, string>;
  dependencies: Record<string, string>;
  peerDependencies: Record<string, string>;
}

export function packageManifest(): PackageManifest {
  return JSON.parse(readFileSync(join(repositoryRoot, "package.json"), "utf8")) as PackageManifest;
}

export interface EntryPoint {
  /** How a user writes it: `hindcast/replay`. */
  specifier: string;
  /** From the repository root: `src/replay/index.ts`. */
  source: string;
  /** Inside `dist`, without extension: `replay/index`. */
  output: string;
  /** Export conditions in the order in which they are written. */
  conditions: [condition: string, target: string][];
}

/** The entry points as package.json states them; the build, the surface test and the parity test read this. */
export function entryPoints(manifest: PackageManifest = packageManifest()): EntryPoint[] {
  const entries: EntryPoint[] = [];
  for (const [subpath, target] of Object.entries(manifest.exports)) {
    if (typeof target === "string") continue; // ./package.json
    const source = target["hindcast-source"];
    if (source === undefined) throw new Error(`exports["${subpath}"] has no hindcast-source condition`);
    entries.push({
      specifier: manifest.name + subpath.slice(1),
      source: source.replace(/^\.\//, ""),
      output: source.replace(/^\.\/src\//, "").replace(/\.ts$/, ""),
      conditions: Object.entries(target),
    });
  }
  return entries;
}
