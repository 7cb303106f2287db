/**
 * Work to measure the library by, on whatever machine this runs: promises, closures, copies of an object, a Map, as
 * there are on the path of a call. It uses nothing of the library and nothing that is installed, so that only Node
 * and the machine change what it takes. It must stay as it is: the guard's baseline is in units of it.
 */
export async function referenceWork(value: Record<string, unknown>): Promise<number> {
  const open = new Map<number, { readonly copy: Record<string, unknown>; readonly at: number }>();
  let sum = 0;
  for (let index = 0; index < 4; index++) {
    const copy: Record<string, unknown> = { ...value };
    for (const key in copy) {
      const field = copy[key];
      if (typeof field === "string") sum += field.length;
    }
    open.set(index, { copy, at: sum });
    sum += await new Promise<number>((resolve) => {
      void Promise.resolve(index).then((settled) => resolve(settled + (open.get(settled)?.at ?? 0)));
    });
    open.delete(index);
  }
  return sum % 1_000;
}
