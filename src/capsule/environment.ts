import { arch, platform, versions } from "node:process";

/** What a run's arithmetic, text and time depend on besides its code. */
export interface Environment {
  readonly node: string;
  readonly v8: string;
  readonly icu: string;
  readonly timezone: string;
  readonly locale: string;
  readonly arch: string;
  readonly platform: string;
}

let current: Environment | undefined;

/** This process's. Read once: asking Intl for the time zone takes longer than a whole run may. */
export function currentEnvironment(): Environment {
  if (current === undefined) {
    const { timeZone, locale } = new Intl.DateTimeFormat().resolvedOptions();
    current = {
      node: versions.node,
      v8: versions.v8,
      icu: versions["icu"] ?? "none",
      timezone: timeZone,
      locale,
      arch,
      platform,
    };
  }
  return current;
}

/** What differs between two environments, as `node 20.20.2 -> 24.9.0`. */
export function compareEnvironments(recorded: Environment, present: Environment): readonly string[] {
  return (Object.keys(recorded) as (keyof Environment)[])
    .filter((name) => recorded[name] !== present[name])
    .map((name) => `${name} ${recorded[name]} -> ${present[name]}`);
}
