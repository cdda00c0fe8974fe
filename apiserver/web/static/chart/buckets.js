/**
 * Buckets of a series as columns of equal length, and operations on them: merging, gaps, a common x, ranges.
 *
 * Bucket widths form a ladder (powers of two, anchored at 0), so a closed bucket never changes and two neighbours merge into one of the next width.
 */

/**
 * @typedef {object} Buckets
 * @property {Float64Array} x      x of the bucket: that of its point, if it holds one
 * @property {Float64Array} mean   NaN: the bucket has no finite value
 * @property {Float64Array} min
 * @property {Float64Array} max
 * @property {Float64Array} count  finite points
 * @property {Float64Array} time   ms since the epoch of the bucket's last point; NaN: unknown
 * @property {Float64Array} step   the highest iteration in the bucket; NaN: unknown
 * @property {Float64Array} nan    number of NaN
 * @property {Float64Array} posInf
 * @property {Float64Array} negInf
 * @property {number} width        width of a bucket on the ladder; 1: every point on its own
 */

/** @type {(keyof Omit<Buckets, "width">)[]} */
export const COLUMNS = ["x", "mean", "min", "max", "count", "time", "step", "nan", "posInf", "negInf"];

/** Time ladder in ms: 1, 2, 5 per decade below a second; clock-like steps above. */
const TIME_LADDER = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3, 900e3, 1800e3, 3600e3, 7200e3, 14400e3, 28800e3,
  86400e3, 172800e3, 604800e3, 1209600e3, 2592000e3,
];

/**
 * The least width of the ladder that cuts [first, last] into at most `count` buckets.
 * @param {number} first @param {number} last @param {number} count @param {boolean} [time]
 */
export function ladderWidth(first, last, count, time = false) {
  const fits = (/** @type {number} */ width) => Math.floor(last / width) - Math.floor(first / width) + 1 <= count;
  if (time) {
    const known = TIME_LADDER.find(fits);
    if (known) return known;
  }
  let width = time ? TIME_LADDER[TIME_LADDER.length - 1] : 1;
  while (!fits(width)) width *= 2;
  return width;
}

/** @param {number} n @param {number} width @returns {Buckets} */
export function emptyBuckets(n, width) {
  const made = /** @type {any} */ ({ width });
  for (const name of COLUMNS) made[name] = new Float64Array(n);
  return made;
}

/**
 * The same points in wider buckets of the ladder.
 * @param {Buckets} from @param {number} width @returns {Buckets}
 */
export function mergeBuckets(from, width) {
  const out = emptyBuckets(from.x.length, width);
  let n = -1;
  let open = NaN;
  for (let i = 0; i < from.x.length; i++) {
    const slot = Math.floor(from.x[i] / width);
    if (slot !== open) {
      open = slot;
      n++;
      for (const name of COLUMNS) out[name][n] = from[name][i];
      continue;
    }
    const had = out.count[n];
    const more = from.count[i];
    if (more > 0) {
      out.mean[n] = had > 0 ? moved(out.mean[n], from.mean[i], more / (had + more)) : from.mean[i];
      out.min[n] = had > 0 ? Math.min(out.min[n], from.min[i]) : from.min[i];
      out.max[n] = had > 0 ? Math.max(out.max[n], from.max[i]) : from.max[i];
    }
    out.count[n] = had + more;
    out.nan[n] += from.nan[i];
    out.posInf[n] += from.posInf[i];
    out.negInf[n] += from.negInf[i];
    out.time[n] = from.time[i];
    out.step[n] = from.step[i];
    out.x[n] = slot * width;
  }
  for (const name of COLUMNS) out[name] = out[name].subarray(0, n + 1);
  return out;
}

/**
 * From one number towards another by a share of their distance. By halves: the distance of two finite numbers may be infinite.
 * @param {number} from @param {number} to @param {number} share 0 to 1
 */
export function moved(from, to, share) {
  return 2 * (from / 2 + (to / 2 - from / 2) * share);
}

/**
 * Old buckets with those in `late` added or replaced: late points, or the bucket that was still open.
 * @param {Buckets} old @param {Buckets} late @returns {Buckets}
 */
export function replaceBuckets(old, late) {
  if (!late.x.length) return old;
  const { width } = late;
  const slots = new Map();
  for (let i = 0; i < old.x.length; i++) slots.set(Math.floor(old.x[i] / width), { from: old, i });
  for (let i = 0; i < late.x.length; i++) slots.set(Math.floor(late.x[i] / width), { from: late, i });
  const order = [...slots.entries()].sort((a, b) => a[0] - b[0]);
  const out = emptyBuckets(order.length, width);
  order.forEach(([, { from, i }], n) => {
    for (const name of COLUMNS) out[name][n] = from[name][i];
  });
  return out;
}

/**
 * Breaks of the line: `breaks[i]` is 1 when bucket i is not joined to the finite bucket before it. A distance of more than 8 times the median breaks the
 * line, and so does a bucket without finite values.
 * @param {Buckets} buckets @returns {Uint8Array}
 */
export function findBreaks(buckets) {
  const { x, count } = buckets;
  const breaks = new Uint8Array(x.length);
  const limit = 8 * medianDistance(x);
  let last = -1;
  let hole = false;
  for (let i = 0; i < x.length; i++) {
    if (!(count[i] > 0)) {
      hole = true;
      continue;
    }
    if (last >= 0 && (hole || x[i] - x[last] > limit)) breaks[i] = 1;
    last = i;
    hole = false;
  }
  return breaks;
}

/** @type {WeakMap<Buckets, Uint8Array>} */
const breaks = new WeakMap();

/** `findBreaks`, cached: buckets are immutable. @param {Buckets} buckets */
export function breaksOf(buckets) {
  let found = breaks.get(buckets);
  if (!found) {
    found = findBreaks(buckets);
    breaks.set(buckets, found);
  }
  return found;
}

/** @param {ArrayLike<number>} x Ascending. */
export function medianDistance(x) {
  if (x.length < 2) return Infinity;
  const distances = new Float64Array(x.length - 1);
  for (let i = 1; i < x.length; i++) distances[i - 1] = x[i] - x[i - 1];
  distances.sort();
  return distances[distances.length >> 1];
}

/**
 * Pauses common to all series, in which the whole run was silent.
 * @param {ArrayLike<number>[]} all times of each series, ascending
 * @returns {[number, number][]}
 */
export function sharedPauses(all) {
  const filled = all.filter((times) => times.length > 0);
  return filled.slice(1).reduce((pauses, times) => {
    if (!pauses.length) return pauses;
    const others = findPauses(times);
    return pauses.flatMap(([from, to]) =>
      others.flatMap((other) => {
        const both = /** @type {[number, number]} */ ([Math.max(from, other[0]), Math.min(to, other[1])]);
        return both[1] - both[0] > 0 ? [both] : [];
      }),
    );
  }, filled.length ? findPauses(filled[0]) : []);
}

/**
 * Pauses of a series: stretches without points that are more than `limit` long, as [from, to, ms].
 * @param {ArrayLike<number>} times ms, ascending @param {number} [least] ms
 * @returns {[number, number][]}
 */
export function findPauses(times, least = 60_000) {
  /** @type {[number, number][]} */
  const pauses = [];
  const limit = Math.max(least, 20 * medianDistance(times));
  for (let i = 1; i < times.length; i++) if (times[i] - times[i - 1] > limit) pauses.push([times[i - 1], times[i]]);
  return pauses;
}

/**
 * Lowest and highest finite value, of buckets between two x.
 * @param {Iterable<Buckets>} all @param {number} from @param {number} to
 * @returns {[number, number] | null}
 */
export function valueRange(all, from = -Infinity, to = Infinity) {
  let low = Infinity;
  let high = -Infinity;
  for (const { x, min, max, count } of all) {
    for (let i = 0; i < x.length; i++) {
      if (x[i] < from || x[i] > to || !(count[i] > 0)) continue;
      if (min[i] < low) low = min[i];
      if (max[i] > high) high = max[i];
    }
  }
  return low <= high ? [low, high] : null;
}

/**
 * The range that leaves out extremes: 1st to 99th percentile of the means and 20 %; never wider than the full range.
 * @param {Iterable<Buckets>} all @param {number} from @param {number} to
 * @returns {[number, number] | null}
 */
export function robustRange(all, from = -Infinity, to = Infinity) {
  const full = valueRange(all, from, to);
  if (!full) return null;
  const means = [];
  for (const { x, mean, count } of all) {
    for (let i = 0; i < x.length; i++) if (x[i] >= from && x[i] <= to && count[i] > 0) means.push(mean[i]);
  }
  const sorted = Float64Array.from(means).sort();
  const low = sorted[Math.floor((sorted.length - 1) * 0.01)];
  const high = sorted[Math.ceil((sorted.length - 1) * 0.99)];
  const room = (high - low) * 0.2 || Math.abs(high) * 0.2 || 1;
  return [Math.max(full[0], low - room), Math.min(full[1], high + room)];
}

/**
 * Several series over one x, as uPlot wants them: one x column and, for each series, index of its bucket at each x.
 * -1: the series has no bucket there; -2: its line is broken there.
 * @param {Buckets[]} all
 * @returns {{x: Float64Array, index: Int32Array[]}}
 */
export function align(all) {
  /** @type {number[]} */
  const xs = [];
  /** @type {Map<number, number>[]} */
  const at = [];
  for (const buckets of all) {
    const breaks = breaksOf(buckets);
    const places = new Map();
    let last = NaN;
    for (let i = 0; i < buckets.x.length; i++) {
      const x = buckets.x[i];
      if (breaks[i] && last === last) places.set(last + (x - last) / 2, -2);
      places.set(x, buckets.count[i] > 0 ? i : -2);
      last = x;
    }
    at.push(places);
    for (const x of places.keys()) xs.push(x);
  }
  const x = Float64Array.from(new Set(xs)).sort();
  const index = at.map((places) => {
    const column = new Int32Array(x.length).fill(-1);
    for (let i = 0; i < x.length; i++) {
      const found = places.get(x[i]);
      if (found !== undefined) column[i] = found;
    }
    return column;
  });
  return { x, index };
}

/**
 * Index of the value nearest to `target` in ascending `x`; -1 when there is none.
 * @param {ArrayLike<number>} x @param {number} target
 */
export function nearest(x, target) {
  if (!x.length) return -1;
  let low = 0;
  let high = x.length - 1;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (x[middle] < target) low = middle + 1;
    else high = middle;
  }
  return low > 0 && target - x[low - 1] <= x[low] - target ? low - 1 : low;
}
