/** Which revision of its source a process runs, as far as that can be known without running anything. */
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { argv, cwd, env } from "node:process";

/** Set by those that build or run services: continuous integration, platforms, agents of monitoring. */
const VARIABLES = [
  "HINDCAST_REVISION",
  "GITHUB_SHA",
  "CI_COMMIT_SHA",
  "VERCEL_GIT_COMMIT_SHA",
  "RENDER_GIT_COMMIT",
  "RAILWAY_GIT_COMMIT_SHA",
  "HEROKU_BUILD_COMMIT",
  "HEROKU_SLUG_COMMIT",
  "SOURCE_VERSION",
  "KOYEB_GIT_SHA",
  "CF_PAGES_COMMIT_SHA",
  "WORKERS_CI_COMMIT_SHA",
  "COMMIT_REF",
  "AWS_COMMIT_ID",
  "CODEBUILD_RESOLVED_SOURCE_VERSION",
  "BUILD_SOURCEVERSION",
  "BITBUCKET_COMMIT",
  "BUILDKITE_COMMIT",
  "CIRCLE_SHA1",
  "DRONE_COMMIT_SHA",
  "TRAVIS_COMMIT",
  "GIT_COMMIT",
  "SOURCE_COMMIT",
  "COMMIT_SHA",
  "DD_GIT_COMMIT_SHA",
];

const REVISION = /^(?:[\da-f]{40}|[\da-f]{64})$/;
/** Of a name that somebody gave. */
const MAXIMUM_LENGTH = 256;

let read: { readonly revision: string | undefined } | undefined;

/** This process's, read once: from the environment, or from the nearest `.git` above its main module. */
export function presentRevision(): string | undefined {
  read ??= { revision: revisionOf(env) ?? revisionAbove(startingFolder()) };
  return read.revision;
}

export function revisionOf(variables: Readonly<Record<string, string | undefined>>): string | undefined {
  for (const name of VARIABLES) {
    const value = variables[name]?.trim();
    if (value !== undefined && value !== "" && value.length <= MAXIMUM_LENGTH) return value;
  }
  return undefined;
}

function startingFolder(): string {
  const main = argv[1];
  return main === undefined ? cwd() : dirname(resolve(main));
}

/** What is checked out where the nearest `.git` is, in `folder` or above it. */
export function revisionAbove(folder: string): string | undefined {
  for (let current = folder; ; current = dirname(current)) {
    const git = gitFolder(join(current, ".git"));
    if (git !== undefined) return headOf(git);
    if (dirname(current) === current) return undefined;
  }
}

/** In a work tree or a submodule `.git` is a file that says where the folder is. */
function gitFolder(path: string): string | undefined {
  if (textOf(join(path, "HEAD")) !== undefined) return path;
  const pointer = /^gitdir: (.+)$/m.exec(textOf(path) ?? "")?.[1];
  return pointer && resolve(dirname(path), pointer);
}

function headOf(git: string): string | undefined {
  const head = textOf(join(git, "HEAD"))?.trim() ?? "";
  const reference = /^ref: (\S+)$/.exec(head)?.[1];
  if (reference === undefined) return revisionIn(head);
  // Branches of a work tree are in the folder that it shares with the others.
  const shared = textOf(join(git, "commondir"))?.trim();
  for (const place of shared === undefined ? [git] : [git, resolve(git, shared)]) {
    const revision = revisionIn(textOf(join(place, reference))?.trim()) ?? packed(place, reference);
    if (revision !== undefined) return revision;
  }
  return undefined;
}

function packed(git: string, reference: string): string | undefined {
  const line = textOf(join(git, "packed-refs"))
    ?.split("\n")
    .find((one) => one.endsWith(` ${reference}`));
  return revisionIn(line?.split(" ")[0]);
}

function revisionIn(text: string | undefined): string | undefined {
  return text !== undefined && REVISION.test(text) ? text : undefined;
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined; // it is not there, or not to be read: then nothing is known
  }
}
