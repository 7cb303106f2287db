/** Checks each of the programs: alone, again, twenty at once, and in fresh processes. Prints what was found. */
import { checkDeterminism } from "hindcast/testing";
import { programs } from "./shared-programs.js";

const inputs: [number][] = [[1], [2]];
for (const [name, entry] of Object.entries(programs)) {
  const here = await checkDeterminism(entry, inputs, { concurrency: 20 });
  const module = new URL("./shared-programs.ts", import.meta.url);
  const cold = await checkDeterminism({ module, export: `programs.${name}` }, [[1]], { cold: true });
  const found = [here, cold].map((report) =>
    report.deterministic ? report.noticed.join(" ") : report.explanation,
  );
  console.log(
    JSON.stringify({
      name,
      identical: here.deterministic && cold.deterministic,
      found: found.filter((one) => one !== "").join("\n"),
    }),
  );
}
process.exit();
