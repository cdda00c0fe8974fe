import { findBreaks, moved } from "./buckets.js";

/** @typedef {import("./buckets.js").Buckets} Buckets */

/** Parts with fewer buckets are not smoothed: two points are no trend. */
export const LEAST_POINTS = 5;

/**
 * Exponential smoothing by half-life on the axis: a point `h` behind weighs half. A bucket's weight is its number of points, so the curve hardly depends on
 * the number of buckets. It restarts after a gap and after a bucket without finite values.
 * @param {Buckets} buckets @param {number} halfLife in units of x; 0: not smoothed @param {Uint8Array} [breaks]
 * @returns {Float64Array} NaN where a bucket has no finite value
 */
export function smooth(buckets, halfLife, breaks = findBreaks(buckets)) {
  const { x, mean, count } = buckets;
  const out = Float64Array.from(mean);
  if (!(halfLife > 0)) return out;
  let start = 0;
  for (let i = 0; i <= x.length; i++) {
    if (i === x.length || breaks[i]) {
      smoothStretch(x, mean, count, halfLife, out, start, i);
      start = i;
    }
  }
  return out;
}

/**
 * @param {Float64Array} x @param {Float64Array} mean @param {Float64Array} count @param {number} halfLife
 * @param {Float64Array} out @param {number} start @param {number} end
 */
function smoothStretch(x, mean, count, halfLife, out, start, end) {
  let finite = 0;
  for (let i = start; i < end; i++) if (count[i] > 0) finite++;
  if (finite < LEAST_POINTS) return;
  let weight = 0;
  let value = 0;
  let last = NaN;
  for (let i = start; i < end; i++) {
    if (!(count[i] > 0)) continue;
    if (weight > 0) weight *= 2 ** (-(x[i] - last) / halfLife);
    weight += count[i];
    value = moved(value, mean[i], count[i] / weight); // updates a running mean: no growing sum, exact for a constant series
    out[i] = value;
    last = x[i];
  }
}
