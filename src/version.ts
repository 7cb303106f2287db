/** This package's version; a test holds it to package.json. */
export const LIBRARY_VERSION = "0.1.0";
