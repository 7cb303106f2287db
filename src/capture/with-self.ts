import type { CapturedMethod } from "./define-capture.js";

/** A method whose body is given `this` as an argument, so that it can be an arrow function. */
export function withSelf(body: (self: object, input: readonly unknown[]) => unknown): CapturedMethod {
  return function (this: unknown, ...input) {
    return body(this as object, input);
  };
}
