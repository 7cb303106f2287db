/** `A` to `Z`, `a` to `z`, `0` to `9` and `_`. */
export const WORD = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";

/**
 * Whether `text` has none but these characters. Takes the place of regular expressions in what is done during a call:
 * V8 ends the process where it has to compile one and no stack is left, as when an endless recursion comes to its end.
 */
export function consistsOf(text: string, characters: string): boolean {
  for (const character of text) {
    if (!characters.includes(character)) return false;
  }
  return true;
}
