// The text below a chart: points, NaN and infinities, values outside of the range, constant series, repeated steps.
import { integer, number, plural, stampWithZone } from "../core/format.js";
import { nearest, valueRange } from "./buckets.js";
import { xText } from "./look.js";

/** @typedef {import("./source.js").Loaded} Loaded */
/** @typedef {import("./look.js").AxisName} AxisName */

/** The end of a sentence that offers another scale. */
export const NOT_ON_LOG = "not on a log scale";

/** @param {Float64Array} column */
const sum = (column) => column.reduce((total, value) => total + value, 0);

/**
 * @param {Loaded[]} loaded
 * @param {AxisName} axis
 * @param {string} y
 * @returns {string[]}
 */
export function facts(loaded, axis, y) {
  const said = [];
  const all = loaded.map((one) => one.buckets);
  const points = loaded.reduce((total, one) => total + one.points, 0);
  const range = valueRange(all);
  const nan = all.reduce((total, one) => total + sum(one.nan), 0);
  const posInf = all.reduce((total, one) => total + sum(one.posInf), 0);
  const negInf = all.reduce((total, one) => total + sum(one.negInf), 0);
  const buckets = all.reduce((total, one) => total + one.x.length, 0);
  if (range && range[0] === range[1] && points > 1) said.push(`constant ${number(range[0])}`);
  if (points > buckets) said.push(`${plural(points, "point")}, every one counted in the band`);
  else said.push(plural(points, "point"));
  const since = loaded.map((one) => one.firstNan).filter((x) => x !== null);
  if (nan) said.push(`${integer(nan)} NaN since ${xText(Math.min(...since), axis)}`);
  if (posInf) said.push(`${integer(posInf)} × +Inf`);
  if (negInf) said.push(`${integer(negInf)} × −Inf`);
  if (y === "log") {
    const below = all.reduce((total, one) => total + sum(one.min.map((value, i) => (one.count[i] > 0 && value <= 0 ? 1 : 0))), 0);
    if (below) said.push(`${plural(below, "bucket")} with values ≤ 0, ${NOT_ON_LOG}`);
  }
  const rewinds = loaded.flatMap((one) => one.rewinds);
  if (axis === "step" && rewinds.length) {
    const [from, to] = rewinds[0];
    said.push(`steps ${integer(from)}–${integer(to)} reported twice${rewinds.length > 1 ? ` and ${rewinds.length - 1} more` : ""}`);
  }
  return said;
}

/**
 * How many values lie outside of a range, and the most extreme of them.
 * @param {Loaded[]} loaded
 * @param {[number, number]} range
 */
export function outside(loaded, [low, high]) {
  let above = 0;
  let below = 0;
  let exact = true;
  let extreme = { value: NaN, x: NaN, distance: 0 };
  for (const { buckets } of loaded) {
    for (let i = 0; i < buckets.x.length; i++) {
      if (!(buckets.count[i] > 0)) continue;
      const over = buckets.max[i] - high;
      const under = low - buckets.min[i];
      if (over > 0) above++;
      if (under > 0) below++;
      if ((over > 0 || under > 0) && buckets.count[i] > 1) exact = false;
      const distance = Math.max(over, under);
      if (distance > extreme.distance) extreme = { value: over >= under ? buckets.max[i] : buckets.min[i], x: buckets.x[i], distance };
    }
  }
  return { above, below, exact, value: extreme.value, x: extreme.x };
}

/**
 * The sentence about `outside`, or "".
 * @param {ReturnType<typeof outside>} found
 * @param {[number, number]} range
 * @param {AxisName} axis
 */
export function outsideText(found, [low, high], axis) {
  const count = found.above + found.below;
  if (!count) return "";
  const where = found.above && found.below ? "outside" : found.above ? `above ${number(high)}` : `below ${number(low)}`;
  const most = found.value > high ? "greatest" : "least";
  return `${found.exact ? "" : "at least "}${plural(count, "point")} ${where}, ${most} ${number(found.value)} at ${xText(found.x, axis)}`;
}

/**
 * What one series says at an x.
 * @param {Loaded} one
 * @param {number} x
 * @param {Float64Array | undefined} smoothed
 */
export function at(one, x, smoothed) {
  const { buckets } = one;
  const i = nearest(buckets.x, x);
  if (i < 0) return null;
  const nothing = !(buckets.count[i] > 0);
  return {
    i,
    x: buckets.x[i],
    mean: nothing ? (buckets.nan[i] ? NaN : buckets.posInf[i] ? Infinity : -Infinity) : buckets.mean[i],
    smoothed: smoothed?.[i],
    min: buckets.min[i],
    max: buckets.max[i],
    count: buckets.count[i],
    nan: buckets.nan[i],
    time: buckets.time[i],
    step: buckets.step[i],
  };
}

/**
 * @param {NonNullable<ReturnType<typeof at>>} found
 * @param {AxisName} axis
 * @param {boolean} smoothing
 */
export function atText(found, axis, smoothing) {
  const said = [xText(found.x, axis), ...(axis === "step" || Number.isNaN(found.step) ? [] : [`step ${integer(found.step)}`]), `mean ${number(found.mean, 6)}`];
  if (smoothing && found.smoothed !== undefined) said.push(`smoothed ${number(found.smoothed, 6)}`);
  if (found.count > 1) said.push(`min ${number(found.min)}`, `max ${number(found.max)}`, plural(found.count, "point"));
  if (found.nan) said.push(`${integer(found.nan)} NaN`);
  said.push(stampWithZone(found.time).slice(0, 19));
  return said.join(" · ");
}

/** The chart's description for screen readers. @param {string} title @param {Loaded[]} loaded @param {AxisName} axis */
export function spoken(title, loaded, axis) {
  const all = loaded.map((one) => one.buckets);
  const range = valueRange(all);
  const first = Math.min(...all.map(({ x }) => x[0] ?? Infinity));
  const last = Math.max(...all.map(({ x }) => x[x.length - 1] ?? -Infinity));
  if (!(first <= last)) return `${title}: no points`;
  const lowest = range ? `, lowest ${number(range[0])}, highest ${number(range[1])}` : ", no finite values";
  return `${title}, ${plural(loaded.length, "series", "series")}, ${xText(first, axis)} to ${xText(last, axis)}${lowest}`;
}
