/**
 * Installs the packages that test/field is run with, beside it and not in it: a folder with a package.json of its own would not
 * find `hindcast` by its name.
 */
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const folder = join(import.meta.dirname, "packages");
const link = join(import.meta.dirname, "node_modules");
const lock = readFileSync(join(folder, "package-lock.json"));
const installed = createHash("sha256").update(lock).update(process.versions.modules).digest("hex");
const stamp = join(folder, "node_modules/.installed");

if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== installed) {
  // Only one of them has to be built: the others ship what they need, or need nothing.
  for (const command of [
    ["ci", "--ignore-scripts"],
    ["rebuild", "better-sqlite3"],
  ]) {
    console.log(`npm ${command.join(" ")} (test/field/packages)`);
    const { status } = spawnSync("npm", command, { cwd: folder, stdio: "inherit" });
    if (status !== 0) process.exit(status ?? 1);
  }
  writeFileSync(stamp, installed);
}
if (!existsSync(link)) symlinkSync("packages/node_modules", link);
console.log("test/field: packages are installed");
