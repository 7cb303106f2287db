import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { hindcast } from "hindcast";
import { readCapsule } from "hindcast/replay";
import { afterAll, describe, expect, test } from "vitest";
import { presentRevision, revisionAbove, revisionOf } from "../../src/record/code-revision.js";
import { newestCapsule } from "../replay/newest-capsule.js";

const SHA = "9929b0e9929b0e9929b0e9929b0e9929b0e99290";
const root = mkdtempSync(join(tmpdir(), "hindcast-revision-"));
afterAll(() => rmSync(root, { recursive: true }));

function repository(name: string, files: Record<string, string>): string {
  const folder = join(root, name);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, path)), { recursive: true });
    writeFileSync(join(folder, path), text);
  }
  mkdirSync(join(folder, "src/deep"), { recursive: true });
  return folder;
}

describe("what is checked out in the nearest .git", () => {
  test.each<[string, Record<string, string>, string | undefined]>([
    ["a branch", { ".git/HEAD": "ref: refs/heads/main\n", ".git/refs/heads/main": `${SHA}\n` }, SHA],
    ["a commit", { ".git/HEAD": `${SHA}\n` }, SHA],
    [
      "a branch that is packed",
      { ".git/HEAD": "ref: refs/heads/main\n", ".git/packed-refs": `# pack\n${SHA} refs/heads/main\n` },
      SHA,
    ],
    ["a branch without a commit", { ".git/HEAD": "ref: refs/heads/main\n" }, undefined],
    ["what is no commit", { ".git/HEAD": "nonsense\n" }, undefined],
    ["an empty folder", { ".git/config": "" }, undefined],
  ])("%s", (name, files, expected) => {
    expect(revisionAbove(join(repository(name, files), "src/deep"))).toBe(expected);
  });

  test("a work tree, whose branch is in the folder that it shares", () => {
    const shared = repository("shared", {
      ".git/HEAD": "ref: refs/heads/main\n",
      ".git/refs/heads/topic": `${SHA}\n`,
      ".git/worktrees/topic/HEAD": "ref: refs/heads/topic\n",
      ".git/worktrees/topic/commondir": "../..\n",
    });
    const tree = repository("tree", { ".git": `gitdir: ${join(shared, ".git/worktrees/topic")}\n` });
    expect(revisionAbove(join(tree, "src"))).toBe(SHA);
  });
});

test("what builds or runs the service says it before that", () => {
  expect(revisionOf({ GITHUB_SHA: SHA })).toBe(SHA);
  expect(revisionOf({ SOURCE_VERSION: " ", GIT_COMMIT: ` ${SHA}\n` })).toBe(SHA);
  expect(revisionOf({ GIT_COMMIT: "x".repeat(300) })).toBeUndefined();
  expect(revisionOf({})).toBeUndefined();
});

test("an instance may be told; what it says is in the capsule", async () => {
  const told = hindcast({ service: "s", revision: "build-17" });
  told.pipeline({ name: "p" }, () => 1)();
  expect(readCapsule(await newestCapsule(told)).revision).toBe("build-17");
  const untold = hindcast({ service: "s" });
  untold.pipeline({ name: "p" }, () => 1)();
  expect(readCapsule(await newestCapsule(untold)).revision).toBe(presentRevision());
  expect(() => hindcast({ service: "s", revision: "" })).toThrow(/hindcast\(\{ revision \}\): give a text/);
});
