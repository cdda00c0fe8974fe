// Positions and labels of axis ticks.
import { clockMs, day, duration, number, short, zoneOffset } from "../core/format.js";

const MAX_TICKS = 9;

/** Distances of ticks on an axis of durations or times, in ms. */
export const TIME_STEPS = [
  1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3, 900e3, 1800e3, 3600e3, 7200e3, 14400e3, 21600e3,
  43200e3, 86400e3, 172800e3, 604800e3, 1209600e3, 2592000e3, 7776000e3, 31536000e3,
];

/** @param {number} from @param {number} to @param {number} most */
export function timeTicks(from, to, most = MAX_TICKS) {
  const step = TIME_STEPS.find((one) => (to - from) / one <= most) ?? Math.ceil((to - from) / most / 31536000e3) * 31536000e3;
  // Days begin at midnight of the shown time.
  const shift = step >= 3600e3 ? zoneOffset(from) : 0;
  return { step, ticks: multiples(from + shift, to + shift, step).map((tick) => tick - shift) };
}

/** @param {number} from @param {number} to @param {number} most */
export function durationTicks(from, to, most = MAX_TICKS) {
  const step = TIME_STEPS.find((one) => (to - from) / one <= most) ?? Math.ceil((to - from) / most / 86400e3) * 86400e3;
  return { step, ticks: multiples(from, to, step) };
}

/** Round numbers: 1, 2 or 5 times a power of ten. @param {number} from @param {number} to @param {number} most @param {number} [least] */
export function linearTicks(from, to, most = MAX_TICKS, least = 0) {
  const rough = to / most - from / most; // their distance may be infinite
  if (!(rough > 0) || !Number.isFinite(rough)) return { step: 1, ticks: [from] };
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(least, [1, 2, 5, 10].map((factor) => factor * power).find((one) => one >= rough * 0.999) ?? 10 * power);
  return { step, ticks: multiples(from, to, step) };
}

/** Powers of ten; also 2 and 5 times where there are few of them. @param {number} from @param {number} to @param {number} [most] */
export function logTicks(from, to, most = MAX_TICKS) {
  const first = Math.floor(Math.log10(from));
  const last = Math.ceil(Math.log10(to));
  const every = Math.max(1, Math.ceil((last - first) / most));
  const factors = last - first <= 2 ? [1, 2, 5] : [1];
  const ticks = [];
  for (let power = first; power <= last; power++) {
    if (power % every) continue;
    for (const factor of factors) ticks.push(factor * Number(`1e${power}`));
  }
  const inside = ticks.filter((tick) => tick >= from && tick <= to);
  return inside.length >= 2 ? inside : linearTicks(from, to, most).ticks;
}

/** Zero and powers of ten on both sides. @param {number} from @param {number} to @param {number} linear @param {number} [most] */
export function symlogTicks(from, to, linear, most = MAX_TICKS) {
  const ticks = from <= 0 && to >= 0 ? [0] : [];
  const start = Math.max(linear, 1e-300);
  const side = (/** @type {number} */ limit, /** @type {number} */ sign) => {
    if (limit <= start) return;
    const low = Math.ceil(Math.log10(start));
    const high = Math.floor(Math.log10(limit));
    const every = Math.max(1, Math.ceil((high - low + 1) / (most / 2)));
    for (let power = high; power >= low; power -= every) ticks.push(sign * Number(`1e${power}`));
  };
  side(to, 1);
  side(-from, -1);
  const inside = ticks.filter((tick) => tick >= from && tick <= to).sort((a, b) => a - b);
  return inside.length >= 2 ? inside : linearTicks(from, to, most).ticks;
}

/** @param {number} from @param {number} to @param {number} step */
function multiples(from, to, step) {
  const ticks = [];
  const first = Math.ceil(from / step - 1e-9);
  // By multiplication: far from zero, adding a step may not change the number.
  const last = Math.min(to + step * 1e-9, Number.MAX_VALUE);
  for (let n = 0; n < 100 && (first + n) * step <= last; n++) ticks.push(Number(((first + n) * step).toPrecision(15)));
  return [...new Set(ticks)];
}

/** @param {number} tick @param {number} step */
export function timeLabel(tick, step) {
  if (step >= 86400e3) return day(tick).slice(5);
  const time = clockMs(tick);
  if (step >= 60e3) return time.startsWith("00:00") ? day(tick).slice(5) : time.slice(0, 5);
  return step >= 1e3 ? time.slice(0, 8) : time.slice(3);
}

/** @param {number} tick */
export function durationLabel(tick) {
  return tick === 0 ? "0" : duration(tick);
}

/** @param {number[]} ticks @param {number} step */
export function valueLabels(ticks, step) {
  const most = Math.max(...ticks.map(Math.abs), step);
  const digits = Math.min(15, Math.max(4, Math.ceil(Math.log10(most / step)) + 1));
  if (most < 1e-3) {
    // One notation for all labels: the power of ten of the greatest.
    const power = Math.floor(Math.log10(most));
    const decimals = Math.max(0, Math.ceil(power - Math.log10(step) - 1e-9));
    return ticks.map((tick) => (tick === 0 ? "0" : `${(tick / 10 ** power).toFixed(decimals)}e${power}`.replaceAll("-", "\u2212")));
  }
  return ticks.map((tick) => (Math.abs(tick) >= 10_000 && step >= 100 ? short(tick) : number(tick, digits)));
}
