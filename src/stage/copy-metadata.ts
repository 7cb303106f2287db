/** The global functions of `reflect-metadata`, which keeps what decorators note of a function beside it, by identity. */
interface MetadataReflect {
  readonly getOwnMetadataKeys?: (target: object) => readonly unknown[];
  readonly getOwnMetadata?: (key: unknown, target: object) => unknown;
  readonly defineMetadata?: (key: unknown, value: unknown, target: object) => void;
}

/** Gives a function that stands for another what decorators have noted of that one, where `reflect-metadata` is loaded. */
export function copyMetadata(original: object, substitute: object): void {
  const { getOwnMetadataKeys, getOwnMetadata, defineMetadata } = Reflect as MetadataReflect;
  if (getOwnMetadataKeys === undefined || getOwnMetadata === undefined || defineMetadata === undefined)
    return;
  for (const key of getOwnMetadataKeys(original)) {
    defineMetadata(key, getOwnMetadata(key, original), substitute);
  }
}
