/** Stages as decorators, in both dialects: the standard one (TC39) and TypeScript's `experimentalDecorators`. */
import { HindcastError } from "../errors.js";
import type { AnyFunction } from "./stage.js";

/** A decorator for methods that fit `Method`. */
export interface StageDecorator<Method extends AnyFunction = AnyFunction> {
  /** Standard decorators. */
  <Decorated extends Method>(
    method: Decorated,
    context: { readonly kind: "method"; readonly name: string | symbol },
  ): Decorated;
  /** `experimentalDecorators`. */
  <Decorated extends Method>(
    target: object,
    key: string | symbol,
    descriptor: TypedPropertyDescriptor<Decorated>,
  ): TypedPropertyDescriptor<Decorated>;
}

/** A decorator that puts what `wrap` makes of a method in its place. */
export function createDecorator<Method extends AnyFunction>(
  wrap: (method: AnyFunction, name: string) => AnyFunction,
): StageDecorator<Method> {
  const decorator = (...input: unknown[]): unknown => {
    const [first, second, third] = input;
    if (isDecoratorContext(second)) {
      if (second.kind !== "method") throw wrongMember(String(second.name), second.kind);
      return wrap(first as AnyFunction, String(second.name));
    }
    const descriptor = third as PropertyDescriptor | undefined;
    if (typeof descriptor?.value !== "function") throw wrongMember(String(second), "something else");
    return { ...descriptor, value: wrap(descriptor.value as AnyFunction, String(second)) };
  };
  return decorator as unknown as StageDecorator<Method>;
}

function isDecoratorContext(
  value: unknown,
): value is { readonly kind: string; readonly name: string | symbol } {
  return typeof value === "object" && value !== null && "kind" in value && "name" in value;
}

function wrongMember(name: string, kind: string): HindcastError {
  return new HindcastError(
    "invalid-options",
    `A stage decorates methods; "${name}" is ${kind}. For anything else wrap the function: hc.infer(options, fn).`,
  );
}
