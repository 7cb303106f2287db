/**
 * Makes the golden files of the present format. Once a version that writes it is published they are
 * never made again: a new format, or something new in this one, gets files of its own beside them.
 *
 *     npx tsx --conditions=hindcast-source test/golden/make.ts [--overwrite]
 */
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { CAPSULE_FORMAT } from "../../src/capsule/capsule.js";
import { decodeCapsule } from "../../src/capsule/decode-capsule.js";
import { recordLoan, settle } from "./loan.js";
import { renderCapsule } from "./render-capsule.js";

const folder = join(import.meta.dirname, `v${CAPSULE_FORMAT}`);
const file = join(folder, "loan.capsule");
if (existsSync(file) && !process.argv.includes("--overwrite")) {
  console.error(`${file} is there. Golden files are never edited; before the first release say --overwrite.`);
  process.exit(1);
}
const { bytes } = settle(await recordLoan());
mkdirSync(folder, { recursive: true });
writeFileSync(file, bytes);
writeFileSync(join(folder, "loan.json"), `${JSON.stringify(renderCapsule(decodeCapsule(bytes)), null, 2)}\n`);
console.log(`${file}: ${bytes.byteLength} bytes`);
