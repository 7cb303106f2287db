/** What the measured functions are called with. The same values in every process: nothing in them is drawn. */

export const PAYLOADS = ["object", "prompt", "tensor", "table", "text", "trace"] as const;
export type PayloadName = (typeof PAYLOADS)[number];

interface Payload {
  readonly title: string;
  /** Calls between two drains: few enough that no queue of any contender is ever full. */
  readonly calls: number;
  readonly make: () => unknown;
}

export const payloads: Readonly<Record<PayloadName, Payload>> = {
  object: { title: "20-field object", calls: 100, make: application },
  prompt: { title: "8 kB prompt", calls: 100, make: () => prompt(8_000) },
  tensor: { title: "1536-float tensor", calls: 100, make: tensor },
  table: { title: "200-row table", calls: 25, make: table },
  text: { title: "1 MB string", calls: 5, make: () => prompt(1_000_000) },
  trace: { title: "trace of 40 stages", calls: 10, make: application },
};

/** An application for a loan, with 20 fields. */
export function application(): Record<string, unknown> {
  return {
    id: "application-000417",
    applicant: "Zoë Example",
    email: "zoe@example.com",
    country: "CH",
    city: "Zürich",
    street: "Bahnhofstrasse 17",
    income: 84_200.5,
    debt: 12_750.25,
    employer: "Example & Sons",
    employedSince: "2019-04-01",
    dependants: 2,
    homeowner: false,
    married: true,
    score: 0.7312,
    requested: 25_000,
    term: 48,
    purpose: "vehicle",
    channel: "branch",
    consent: true,
    note: null,
  };
}

/** A prompt of so many characters; one of them is not ASCII, so that it takes two bytes a character in memory. */
export function prompt(length: number): string {
  const sentence =
    "Summarise the attached statement of account and say whether the applicant can afford the loan. ";
  const text = `Zürich – ${sentence.repeat(Math.ceil(length / sentence.length))}`.slice(0, length);
  // Through a buffer: a text in one piece, as one that comes over the network is.
  return Buffer.from(text, "utf16le").toString("utf16le");
}

export function tensor(): Float32Array {
  return Float32Array.from({ length: 1536 }, (_, index) => Math.fround(Math.sin(index * 12.9898) * 0.1));
}

function table(): readonly Record<string, unknown>[] {
  return Array.from({ length: 200 }, (_, row) => ({
    id: row,
    account: `CH93 0076 2011 6238 ${1000 + row}`,
    booked: "2026-10-04",
    amount: Math.round(Math.sin(row) * 1e5) / 100,
    currency: "CHF",
    cleared: row % 3 !== 0,
  }));
}
