/** What the guard watches: each is the time of one call, in units of the reference work of the same process. */
export const GUARDED = ["object", "prompt", "tensor", "kept", "off"] as const;
export type Guarded = (typeof GUARDED)[number];

export const TITLES: Readonly<Record<Guarded, string>> = {
  object: "a call with span and full capture, 20-field object",
  prompt: "the same, 8 kB prompt",
  tensor: "the same, 1536-float tensor",
  kept: "a run that is kept, encoding and the store in memory included, 20-field object",
  off: "a call with recording off and no SDK",
};

export type GuardFigures = Readonly<Record<Guarded, number>>;
