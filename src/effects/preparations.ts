/**
 * Effects that prepare what runs share: to connect a client, to prepare a statement. Whether a run does so depends on
 * what the runs before it have left, and changes nothing else: so where one of two runs has such an effect and the other
 * has not, they are the same all the same.
 */
// One in a process, as the captures are that name them: what is recorded is compared without knowing by which instance.
const names = new Set<string>();

/** Says that effects of that name prepare. */
export function declarePreparation(name: string): void {
  names.add(name);
}

/** Whether effects of that name prepare. */
export function isPreparation(name: string): boolean {
  return names.size > 0 && names.has(name);
}
