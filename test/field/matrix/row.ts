/** A row of the compatibility matrix: a small program over one library, and how it is made exact. */
import type { Hindcast } from "hindcast";
import type { Capture } from "hindcast/capture";
import type { Server } from "../field.js";

/** Where the servers of the recording were. In a replay nobody listens there. */
export interface Servers {
  /** Of an HTTP server that answers with something else each time: `http://127.0.0.1:…`. */
  readonly http: string;
  /** Of a server that speaks the protocols of OpenAI and Anthropic. */
  readonly models: string;
  /** Of a server of the Model Context Protocol. */
  readonly mcp: string;
}

/** A program that has its clients. */
export interface Program {
  readonly run: (input: number) => Promise<unknown>;
  readonly close?: () => unknown;
}

export interface Row {
  /** What it is called in the table. One name, one row. */
  readonly name: string;
  /** Packages of `test/field/packages`. None for what Node itself has. */
  readonly packages: readonly string[];
  readonly servers?: readonly Server[];
  /** What the user writes for it, in Markdown. `nothing` where there is nothing to write. */
  readonly madeExact: string;
  /** Whether its processes are begun with `--import hindcast/register`. */
  readonly registered?: boolean;
  readonly captures?: () => Promise<Readonly<Record<string, Capture>>>;
  /** What the servers must hold. Done before a recording, and outside of it. */
  readonly prepare?: () => Promise<void>;
  readonly make: (hc: Hindcast, servers: Servers) => Promise<Program>;
}
