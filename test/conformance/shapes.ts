/** The ways in which a function is held and called. */
import { decoratedOwner } from "../decorators-legacy/decorated-owner.js";
import type { AnyFunction, Trial } from "./trial.js";

// Methods are taken off their classes here, to be put back wrapped.
/* oxlint-disable typescript/unbound-method */

/** What the function does, whichever shape it has. */
export type Body = (self: unknown, input: readonly unknown[]) => unknown;

export interface Held {
  /** The function that was wrapped, and what came of it. */
  readonly bare: AnyFunction;
  readonly wrapped: AnyFunction;
  /** What the body's `this` must be. */
  readonly self: unknown;
  readonly call: (...input: unknown[]) => unknown;
}

export interface Shape {
  readonly name: string;
  readonly hold: (body: Body, trial: Trial) => Held;
}

type Loose = (this: unknown, ...input: unknown[]) => unknown;

const own = Symbol("own");

/** Notes what can be told of the function itself. */
export function noteFunction({ bare, wrapped }: Held, { note }: Trial): void {
  note("name", wrapped.name);
  note("length", wrapped.length);
  note("own properties", Reflect.ownKeys(wrapped).map(String).sort());
  note("prototype", Object.getPrototypeOf(wrapped) === Object.getPrototypeOf(bare));
  note("constructible", isConstructible(wrapped));
  note("typeof", typeof wrapped);
  note("toStringTag", Object.prototype.toString.call(wrapped));
}

function isConstructible(value: AnyFunction): boolean {
  try {
    Reflect.construct(Object, [], value);
    return true;
  } catch {
    return false; // that is how a function says so
  }
}

function held(bare: Loose, trial: Trial, self?: unknown): Held {
  const wrapped = trial.wrap(bare, { name: "subject" });
  return { bare, wrapped, self, call: (...input) => Reflect.apply(wrapped, self as never, input as never[]) };
}

/** A decorator of methods that wraps, and the method as it was before. */
function decorator(trial: Trial): {
  readonly decorate: <Method extends Loose>(method: Method, context: ClassMethodDecoratorContext) => Method;
  readonly bare: () => AnyFunction;
} {
  let bare: AnyFunction | undefined;
  return {
    decorate(method) {
      bare = method;
      return trial.wrap(method, { name: "subject" });
    },
    bare: () => bare as AnyFunction,
  };
}

/* What an arrow function's `this` is has nothing to do with how it is called. */
export const shapes: readonly Shape[] = [
  {
    name: "function",
    hold: (body, trial) =>
      held(
        function subject(this: unknown, ...input) {
          return body(this, input);
        },
        trial,
        { owner: true },
      ),
  },
  {
    name: "arrow function",
    hold: (body, trial) =>
      held((first?: unknown, second?: unknown) => body(undefined, [first, second]), trial),
  },
  {
    name: "function with a primitive `this`",
    hold: (body, trial) =>
      held(
        function subject(this: unknown, ...input) {
          return body(this, input);
        },
        trial,
        "text",
      ),
  },
  {
    name: "default parameters",
    hold: (body, trial) =>
      held(
        (first: unknown, second = trial.note("defaulted", true)) => body(undefined, [first, second]),
        trial,
      ),
  },
  {
    name: "rest parameters",
    hold: (body, trial) =>
      held((first: unknown, ...rest: unknown[]) => {
        trial.note("rest", rest.length);
        return body(undefined, [first, ...rest]);
      }, trial),
  },
  {
    name: "destructured parameters",
    hold: (body, trial) => {
      const bare = ({ first, ...rest }: { first?: unknown; second?: unknown } = {}): unknown =>
        body(undefined, [first, rest.second]);
      const wrapped = trial.wrap(bare, { name: "subject" });
      return {
        bare,
        wrapped,
        self: undefined,
        call: (first, second) => wrapped({ first, second }),
      };
    },
  },
  {
    name: "method of an object",
    hold(body, trial) {
      const owner: { subject: Loose } = {
        subject(...input) {
          return body(this, input);
        },
      };
      const bare = owner.subject;
      owner.subject = trial.wrap(bare, { name: "subject" });
      return { bare, wrapped: owner.subject, self: owner, call: (...input) => owner.subject(...input) };
    },
  },
  {
    name: "method of a class",
    hold(body, trial) {
      class Base {
        readonly #secret = "secret";
        subject(...input: unknown[]): unknown {
          trial.note("#private field", this.#secret);
          return body(this, input);
        }
      }
      class Derived extends Base {
        override subject(...input: unknown[]): unknown {
          return super.subject(...input);
        }
      }
      const { subject: bare } = Base.prototype;
      Base.prototype.subject = trial.wrap(bare, { name: "subject" });
      const self = new Derived();
      return { bare, wrapped: Base.prototype.subject, self, call: (...input) => self.subject(...input) };
    },
  },
  {
    name: "static method",
    hold(body, trial) {
      class Owner {
        static readonly #secret = "secret";
        static subject(...input: unknown[]): unknown {
          trial.note("#private field", this.#secret);
          return body(this, input);
        }
      }
      const bare = Owner.subject;
      Owner.subject = trial.wrap(bare, { name: "subject" });
      return { bare, wrapped: Owner.subject, self: Owner, call: (...input) => Owner.subject(...input) };
    },
  },
  {
    name: "#private method",
    hold(body, trial) {
      const bare: Loose = function subject(this: unknown, ...input) {
        return body(this, input);
      };
      class Owner {
        readonly #subject = trial.wrap(bare, { name: "subject" });
        get wrapped(): AnyFunction {
          return this.#subject;
        }
        call(...input: unknown[]): unknown {
          return this.#subject(...input);
        }
      }
      const self = new Owner();
      return { bare, wrapped: self.wrapped, self, call: (...input) => self.call(...input) };
    },
  },
  {
    name: "method of a decorated class",
    hold(body, trial) {
      const { decorate, bare } = decorator(trial);
      class Owner {
        readonly #secret = "secret";

        @decorate
        subject(...input: unknown[]): unknown {
          trial.note("#private field", this.#secret);
          return body(this, input);
        }
      }
      const self = new Owner();
      return {
        bare: bare(),
        wrapped: Owner.prototype.subject,
        self,
        call: (...input) => self.subject(...input),
      };
    },
  },
  {
    name: "static method of a decorated class",
    hold(body, trial) {
      const { decorate, bare } = decorator(trial);
      class Owner {
        static readonly #secret = "secret";

        @decorate
        static subject(...input: unknown[]): unknown {
          trial.note("#private field", this.#secret);
          return body(this, input);
        }
      }
      return {
        bare: bare(),
        wrapped: Owner.subject,
        self: Owner,
        call: (...input) => Owner.subject(...input),
      };
    },
  },
  {
    name: "#private method of a decorated class",
    hold(body, trial) {
      const { decorate, bare } = decorator(trial);
      class Owner {
        @decorate
        #subject(...input: unknown[]): unknown {
          return body(this, input);
        }
        get wrapped(): AnyFunction {
          return this.#subject;
        }
        call(...input: unknown[]): unknown {
          return this.#subject(...input);
        }
      }
      const self = new Owner();
      return { bare: bare(), wrapped: self.wrapped, self, call: (...input) => self.call(...input) };
    },
  },
  {
    name: "method of a class decorated in the older dialect",
    hold(body, trial) {
      const { owner, bare } = decoratedOwner(
        function (secret, ...input) {
          trial.note("#private field", secret);
          return body(this, input);
        },
        (method) => trial.wrap(method, { name: "subject" }),
      );
      return { bare, wrapped: owner.subject, self: owner, call: (...input) => owner.subject(...input) };
    },
  },
  {
    name: "recursive function",
    hold(body, trial) {
      let depth = 0;
      const one: Held = held(
        function subject(this: unknown, ...input) {
          depth += 1;
          return depth % 3 === 0 ? body(this, input) : Reflect.apply(one.wrapped, this, input as never[]);
        },
        trial,
        { owner: true },
      );
      return one;
    },
  },
  {
    name: "function that is called again while it runs",
    hold(body, trial) {
      let running = false;
      const one: Held = held(
        function subject(this: unknown, ...input) {
          if (running) return trial.log("again");
          running = true;
          try {
            Reflect.apply(one.wrapped, "another" as never, input as never[]);
            return body(this, input);
          } finally {
            running = false;
          }
        },
        trial,
        { owner: true },
      );
      return one;
    },
  },
  {
    name: "overloaded function",
    hold(body, trial) {
      function subject(this: unknown, one: { readonly both: readonly unknown[] }): unknown;
      function subject(this: unknown, first: unknown, second: unknown): unknown;
      function subject(this: unknown, ...input: unknown[]): unknown {
        const [first] = input;
        return body(this, input.length === 1 ? (first as { both: unknown[] }).both : input);
      }
      const one = held(subject, trial, { owner: true });
      return {
        ...one,
        call: (...both) => Reflect.apply(one.wrapped, one.self as never, [{ both } as never]),
      };
    },
  },
  {
    name: "function that a getter gives",
    hold(body, trial) {
      const bare: Loose = function subject(this: unknown, ...input) {
        return body(this, input);
      };
      const wrapped = trial.wrap(bare, { name: "subject" });
      const self = {
        get subject(): Loose {
          trial.log("getter");
          return wrapped;
        },
      };
      return { bare, wrapped, self, call: (...input) => self.subject(...input) };
    },
  },
  {
    name: "bound function, wrapped",
    hold(body, trial) {
      const self = { owner: true };
      const bare = function subject(this: unknown, ...input: unknown[]): unknown {
        return body(this, input);
      }.bind(self);
      const { wrapped } = held(bare, trial);
      return {
        bare,
        wrapped,
        self,
        call: (...input) => Reflect.apply(wrapped, "other" as never, input as never[]),
      };
    },
  },
  {
    name: "wrapped function, bound",
    hold(body, trial) {
      const self = { owner: true };
      const bare: Loose = function subject(this: unknown, _first: unknown, ...input) {
        return body(this, input);
      };
      const wrapped = trial.wrap(bare, { name: "subject" }).bind(self, "partial");
      return { bare, wrapped, self, call: (...input) => wrapped(...input) };
    },
  },
  {
    name: "function with properties of its own",
    hold: (body, trial) => {
      const bare = Object.defineProperties(
        Object.assign((...input: unknown[]) => body(undefined, input), { [own]: 1, plain: { a: 1 } }),
        { hidden: { value: 2 }, counted: { get: () => 3, configurable: true } },
      );
      const one = held(bare, trial);
      const wrapped = one.wrapped as typeof bare & { readonly hidden: number; readonly counted: number };
      trial.note("members", [wrapped[own], wrapped.plain === bare.plain, wrapped.hidden, wrapped.counted]);
      return one;
    },
  },
  {
    name: "Proxy of a function",
    hold: (body, trial) => {
      const bare = new Proxy(
        function subject(this: unknown, ...input: unknown[]): unknown {
          return body(this, input);
        },
        {
          apply(target, self, input: unknown[]) {
            trial.log("apply trap");
            return Reflect.apply(target, self, input);
          },
          get: (target, key, receiver) =>
            key === "extra" ? "extra" : (Reflect.get(target, key, receiver) as unknown),
          has: (target, key) => key === "extra" || Reflect.has(target, key),
        },
      );
      const one = held(bare, trial, { owner: true });
      trial.note("trapped members", [(one.wrapped as { extra?: string }).extra, "extra" in one.wrapped]);
      return one;
    },
  },
  {
    name: "Proxy of a function that shows nothing of itself",
    hold: (body, trial) => {
      const refuse = (): never => {
        throw new Error("trap");
      };
      const bare = new Proxy(
        function subject(...input: unknown[]): unknown {
          return body(undefined, input);
        },
        { ownKeys: refuse, getOwnPropertyDescriptor: refuse },
      );
      const wrapped = trial.wrap(bare, { name: "subject" });
      // It cannot be asked for its own properties, wrapped or not.
      return {
        bare: () => undefined,
        wrapped: () => undefined,
        self: undefined,
        call: (...input) => Reflect.apply(wrapped, undefined, input),
      };
    },
  },
  {
    name: "function used as a callback",
    hold: (body, trial) => {
      const one = held((...input: unknown[]) => body(undefined, input.slice(0, 2)), trial);
      return {
        ...one,
        call: (first, second) =>
          [first].map(
            (value) => Reflect.apply(one.wrapped, undefined, [value, second] as never[]) as unknown,
          )[0],
      };
    },
  },
  {
    name: "function made to be used with `new`, called",
    hold: (body, trial) => {
      function Subject(this: unknown, ...input: unknown[]): unknown {
        return new.target === undefined ? body(this, input) : undefined;
      }
      return held(Subject, trial, { owner: true });
    },
  },
];
