// Display settings of a view's charts: axis, scale, smoothing, range and filter from the URL, the size from the user's preferences.
import { useEffect, useMemo, useRef, useState } from "../vendor/hooks.js";
import { preference, setPreference } from "../core/prefs.js";
import { place, setParams } from "../core/url.js";
import { useSignal } from "../ui/hooks.js";
import { AXES, SCALES, axisOf, axisParam, parseHalfLife, parseRange, writeHalfLife, writeRange } from "./look.js";

/** Points and the list of series are fetched at most this often. */
export const UPDATE_MS = 100;
export const NAMES_MS = 2_000;

const LEAST_CARD = 300;
const WIDE = 900;

/** @typedef {[number, number] | null} Range */
/** @typedef {Record<string, {height: number, columns: number}>} Sizes heights of cards and how many stand beside each other, by size */

/**
 * @param {Sizes} sizes
 * @param {number} side px beside the charts of a wide window
 * @param {(axis: import("./look.js").AxisName) => [number, number]} extent first and last x, as far as it is known
 */
export function useChartSettings(sizes, side, extent) {
  const { params } = useSignal(place);
  const size = useSignal(preference("chart_size", "M"));
  const zooms = useRef(/** @type {Range[]} */ ([]));
  const axis = axisOf(params.get("x") ?? "");
  const y = SCALES.find((one) => one.name === params.get("y"))?.name ?? "lin";
  const halfLife = parseHalfLife(params.get("s") ?? "", axis);
  const rangeText = params.get("r") ?? "";
  const range = useMemo(() => parseRange(rangeText), [rangeText]);
  const look = useMemo(() => ({ axis, y, halfLife, range }), [axis, y, halfLife, range]);
  const { columns: most, height } = sizes[size] ?? sizes.M;
  const columns = Math.min(most, useRoom(side));
  const whole = extent(axis);
  const length = range ? range[1] - range[0] : whole[1] - whole[0];

  const setRange = (/** @type {Range} */ next, push = false) => {
    if (push) zooms.current.push(range);
    const text = writeRange(next);
    setParams({ r: parseRange(text) ? text : "" });
  };
  const back = () => setRange(zooms.current.pop() ?? null);
  const setHalfLife = (/** @type {number} */ value) => setParams({ s: writeHalfLife(value, axis) });
  const turn = () => {
    const at = AXES.findIndex((one) => one.name === axis);
    setParams({ x: axisParam(AXES[(at + 1) % AXES.length].name), s: "", r: "", at: "" });
  };
  const nextScale = () => {
    const next = SCALES[(SCALES.findIndex((one) => one.name === y) + 1) % SCALES.length].name;
    setParams({ y: next === "lin" ? "" : next });
  };
  /** @param {number} factor @param {number | undefined} middle */
  const zoomBy = (factor, middle) => {
    const [from, to] = range ?? whole;
    const at = middle ?? (from + to) / 2;
    setRange([at - (at - from) * factor, at + (to - at) * factor], true);
  };
  return {
    look, range, filter: params.get("m") ?? "", size, height, columns, setRange, back,
    /** Properties of the ChartBar. */
    bar: { axis, y, halfLife, span: length, range, size, onHalfLife: setHalfLife, onAll: () => setRange(null, true), onSize: (/** @type {string} */ one) => setPreference("chart_size", one) },
    /** Keys that every view with charts has. @param {() => number | undefined} middle where to zoom */
    keys: (middle) => [
      { keys: "x", does: "x axis: step, wall, relative, process", run: turn },
      { keys: "y", does: "y axis: linear, log, symlog", run: nextScale },
      { keys: "s", does: "more smoothing", run: () => setHalfLife(halfLife > 0 ? Math.min(length / 2, halfLife * 2) : length / 200) },
      { keys: "S", does: "less smoothing", run: () => setHalfLife(halfLife > length / 400 ? halfLife / 2 : 0) },
      { keys: "0", does: "no smoothing", run: () => setHalfLife(0) },
      { keys: "+", does: "zoom in", run: () => zoomBy(0.5, middle()) },
      { keys: "-", does: "zoom out", run: () => zoomBy(2, middle()) },
      { keys: "=", does: "whole range", run: () => setRange(null, true) },
      { keys: "z", does: "undo the last zoom", run: back },
    ],
  };
}

/** The number of cards that fit in a row. @param {number} side */
function useRoom(side) {
  const room = () => Math.max(1, Math.floor((innerWidth - (innerWidth > WIDE ? side : 0)) / LEAST_CARD));
  const [fits, setFits] = useState(room);
  useEffect(() => {
    const measure = () => setFits(room());
    addEventListener("resize", measure);
    return () => removeEventListener("resize", measure);
  }, []);
  return fits;
}
