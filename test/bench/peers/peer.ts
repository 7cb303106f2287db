/** A library's wrapper, as its users call it, and the ways in which it can be made to fail. */
export type AnyFunction = (this: unknown, ...input: unknown[]) => unknown;

export interface Peer {
  readonly version: string;
  readonly wrap: <F extends AnyFunction>(body: F) => F;
  /** The same with a hook of the user's that throws; undefined where there is none. */
  readonly wrapWithFailingHook: (<F extends AnyFunction>(body: F) => F) | undefined;
  /** Whether an exporter or a store of the user's can throw in it. */
  readonly takesExporters: boolean;
  /** Ends what it began, so that what fails late fails now. */
  readonly flush: () => Promise<unknown>;
}

/** How that fails to which it hands what it has recorded: it says so, or it throws. */
export type Fault = "rejects" | "throws";

export interface PeerSetting {
  readonly sink: string;
  readonly fault: Fault | undefined;
}

export type CreatePeer = (setting: PeerSetting) => Promise<Peer>;
