exports.load = (module) => import(`./module-${module}.${module === 2 ? "cjs" : "mjs"}`);
