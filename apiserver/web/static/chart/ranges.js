// Ranges of the y axis.

/** @typedef {import("./buckets.js").Buckets} Buckets */

/** The range with 4 % padding; a constant series is centred. @param {[number, number]} range @returns {[number, number]} */
export function padded([low, high]) {
  if (low === high) {
    const room = Math.abs(low) * 0.1 || 1;
    return [low - room, high + room];
  }
  const room = (high - low) * 0.04;
  return Number.isFinite(room) ? [low - room, high + room] : [low, high];
}

/** The least magnitude above zero. @param {Buckets[]} all @param {boolean} [positive] of positive values only */
export function leastMagnitude(all, positive = false) {
  let least = Infinity;
  for (const { min, max, mean, count } of all) {
    for (let i = 0; i < min.length; i++) {
      if (!(count[i] > 0)) continue;
      for (const value of [min[i], mean[i], max[i]]) {
        const size = positive ? value : Math.abs(value);
        if (size > 0 && size < least) least = size;
      }
    }
  }
  return Number.isFinite(least) ? least : 1;
}
