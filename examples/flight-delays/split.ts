/** The number of the first flight that no model has been fitted on; the demo starts there. */
export const holdOutStart = 14_000;
