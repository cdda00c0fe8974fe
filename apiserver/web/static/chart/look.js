// Display settings of charts in the URL: x (axis), y (scale), s (half-life of the smoothing), r (range of x).
import { duration, integer, stamp } from "../core/format.js";

/** @typedef {"step" | "wall" | "relative" | "process"} AxisName */

/** @type {{name: AxisName, short: string, label: string, title: string}[]} */
export const AXES = [
  { name: "step", short: "step", label: "Step", title: "Iterations" },
  { name: "wall", short: "wall", label: "Wall", title: "Time of day" },
  { name: "relative", short: "rel", label: "Relative", title: "Time since the first event of the run" },
  { name: "process", short: "proc", label: "Process", title: "Time since the first event without pauses" },
];

/** @type {{name: "lin" | "log" | "sym", label: string, title: string}[]} */
export const SCALES = [
  { name: "lin", label: "Linear", title: "Linear scale" },
  { name: "log", label: "Log", title: "Logarithmic scale; values ≤ 0 are counted, not drawn" },
  { name: "sym", label: "Symlog", title: "Logarithmic on both sides of zero, linear around it" },
];

/** @param {string} text the parameter x @returns {AxisName} */
export const axisOf = (text) => AXES.find((axis) => axis.short === text)?.name ?? "step";

/** @param {AxisName} axis */
export const axisParam = (axis) => (axis === "step" ? "" : /** @type {any} */ (AXES.find((one) => one.name === axis)).short);

/** The axis by which the server makes buckets. @param {AxisName} axis @returns {"iter" | "timestamp" | "relative"} */
export const storedAxis = (axis) => (axis === "step" ? "iter" : axis === "wall" ? "timestamp" : "relative");

/** @type {Record<string, number>} */
const UNITS = { st: 1, ms: 1, s: 1e3, m: 60e3, h: 3600e3, d: 86400e3 };

/**
 * "500st" or "2m" as a half-life on an axis; 0 when the unit is another axis'.
 * @param {string} text
 * @param {AxisName} axis
 */
export function parseHalfLife(text, axis) {
  const match = /^(\d+(?:\.\d+)?)(st|ms|s|m|h|d)$/.exec(text);
  if (!match || (match[2] === "st") !== (axis === "step")) return 0;
  return Number(match[1]) * UNITS[match[2]];
}

/** @param {number} value @param {AxisName} axis */
export function writeHalfLife(value, axis) {
  if (!(value > 0)) return "";
  if (axis === "step") return `${Number(value.toPrecision(2))}st`;
  const unit = value >= 3600e3 ? "h" : value >= 60e3 ? "m" : value >= 1e3 ? "s" : "ms";
  return `${Number((value / UNITS[unit]).toPrecision(2))}${unit}`;
}

/** @param {number} value @param {AxisName} axis */
export function halfLifeText(value, axis) {
  if (!(value > 0)) return "off";
  return axis === "step" ? `${integer(value)} ${value === 1 ? "step" : "steps"}` : duration(value);
}

/** @param {string} text "1000-5000"; a negative end has its sign: "-5--1" @returns {[number, number] | null} */
export function parseRange(text) {
  const match = /^(-?\d+(?:\.\d+)?)-(-?\d+(?:\.\d+)?)$/.exec(text);
  if (!match) return null;
  const [from, to] = [Number(match[1]), Number(match[2])];
  return from < to ? [from, to] : null;
}

/** @param {[number, number] | null} range */
export const writeRange = (range) => (range ? `${Math.floor(range[0])}-${Math.ceil(range[1])}` : "");

/** An x as text: "step 4,200", "2026-11-30 12:04:31", "3 h 12 min". @param {number} x @param {AxisName} axis */
export function xText(x, axis) {
  if (axis === "step") return `step ${integer(x)}`;
  return axis === "wall" ? stamp(x) : duration(x) || "0";
}

/**
 * Position of a half-life on its slider (0 to 100) and back. The slider is logarithmic from a pixel to half of the range.
 * @param {number} span length of the range on the axis
 */
export function halfLifeSlider(span) {
  const least = Math.max(span / 600, 1e-9);
  const most = Math.max(span / 2, least * 2);
  return {
    toValue: (/** @type {number} */ at) => (at <= 0 ? 0 : least * (most / least) ** (at / 100)),
    toPosition: (/** @type {number} */ value) => (value <= 0 ? 0 : Math.min(100, Math.max(1, (100 * Math.log(value / least)) / Math.log(most / least)))),
  };
}
