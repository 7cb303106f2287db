/** Records and replays a program that draws by references which another module has taken; prints how it went. */
const isLibraryFirst = process.argv[2] === "library first";
if (isLibraryFirst) await import("hindcast");
const { draw } = await import("./taken.js");
const { hindcast } = await import("hindcast");
const { readCapsule, replay } = await import("hindcast/replay");

const hc = hindcast({ service: "s", logger: { warn: () => undefined } });
const entry = hc.pipeline({ name: "entry" }, draw);
for (let count = 0; count < 5; count++) await entry();
await hc.flush();
let identical = 0;
let exact = 0;
let effects = true;
for await (const stored of hc.store.find()) {
  const capsule = readCapsule(stored);
  if (capsule.replayable.exact) exact += 1;
  effects &&= ["setTimeout", "Date.now", "crypto.randomUUID"].every((name) =>
    capsule.effects.some((effect) => effect.name === name),
  );
  if ((await replay(capsule, entry, { patience: 50, timeout: 500 })).verdict === "identical") identical += 1;
}
await hc.close();
console.log(JSON.stringify({ identical, effects, exact }));
