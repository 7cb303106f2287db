exports.loadedAt = Date.now();
exports.value = "two";
