import type { CreateContender } from "./contender.js";

/** The function itself. */
export const bare: CreateContender = () =>
  Promise.resolve({
    version: "",
    holdsNothing: true,
    wrap: (_name, _role, body) => body,
    flush: () => Promise.resolve(),
  });
