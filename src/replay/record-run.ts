import { captureAmbient } from "../ambient/ambient.js";
import type { Capsule } from "../capsule/capsule.js";
import { Turns } from "../effects/turns.js";
import type { ReplayHost } from "../hindcast.js";
import { createRunId, drawSeed } from "../ids.js";
import { wallClock } from "../originals.js";
import { Recording } from "../record/recording.js";
import { RecordingConductor } from "../record/recording-conductor.js";
import { sealRecording } from "../record/seal-recording.js";
import { Run } from "../stage/run.js";
import { callInRun } from "../stage/stage.js";
import type { Entry } from "../stage/wrap.js";

/** Runs an entry once for real and gives its capsule; no store hears of it. */
export async function recordRun(
  host: ReplayHost,
  { definition, body }: Entry,
  input: readonly unknown[],
): Promise<Capsule> {
  const turns = new Turns();
  const recording = new Recording({ ...host.recordingOptions, ended: () => undefined }, turns);
  const startedAt = wallClock();
  const run = new Run({
    owner: host,
    id: createRunId(startedAt),
    seed: drawSeed(),
    startedAt,
    definition,
    listeners: [recording],
    conductor: new RecordingConductor(recording, turns),
    captures: host.captures,
    report: () => undefined,
  });
  const release = captureAmbient(host.captures);
  try {
    await callInRun(run, undefined, definition, body, undefined, input);
  } catch {
    // How it ended is in the recording: a run that throws can be deterministic as well.
  } finally {
    release();
  }
  return sealNow(recording, "check");
}

/** The capsule of a recording, made in one go. */
export function sealNow(recording: Recording, kept: string): Capsule {
  const steps = sealRecording(recording, kept);
  for (;;) {
    const step = steps.next();
    if (step.done === true) return step.value;
  }
}
