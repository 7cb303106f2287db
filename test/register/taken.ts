/** What a library takes at its import: references to the platform's clock, chance and timers. */
const { random } = Math;
const { now } = Date;
const PlatformDate = globalThis.Date;
const start = globalThis.setTimeout;
const randomUUID = Reflect.get(globalThis.crypto, "randomUUID") as () => string;

export async function draw(): Promise<unknown> {
  await new Promise((resolve) => start(resolve, 1));
  return { chance: random(), at: now(), date: new PlatformDate(), id: randomUUID.call(globalThis.crypto) };
}
