/** One way of watching a function; `bare` is none at all. */
export interface Contender {
  /** Of the package that does it, where it is one. */
  readonly version: string;
  /** `body`, watched. The root is what a run or a trace begins with. */
  wrap<F extends (value: unknown) => Promise<unknown>>(name: string, role: Role, body: F): F;
  /** Resolves once nothing is on its way any more. */
  flush(): Promise<void>;
  /** True where a call leaves nothing behind: then a batch can be longer. */
  readonly holdsNothing?: boolean;
  /** Records or spans that were dropped, where the contender counts them. */
  lost?(): number;
}

export type Role = "root" | "step" | "tool";

export interface ContenderSetting {
  /** A server on loopback that takes everything, for those that must send somewhere. */
  readonly sink: string;
  /** A directory of its own. */
  readonly directory: string;
}

export type CreateContender = (setting: ContenderSetting) => Promise<Contender>;
