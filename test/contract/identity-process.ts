/** Prints the contract identities of a capsule, for `identity.test.ts` to compare across processes. */
import { recordIdentities } from "./recorded-identities.js";

console.log(JSON.stringify(await recordIdentities()));
