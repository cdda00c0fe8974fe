// Display settings of the image viewers in the URL: zoom (scale, and the point of the first image in the centre), sharp pixels, brightness, mode.
import { useEffect, useRef, useState } from "../vendor/hooks.js";
import { place, setParams } from "../core/url.js";
import { useSignal } from "../ui/hooks.js";

/** @typedef {{scale: number, x: number, y: number} | null} View x, y: how far the images are moved, in their own pixels; null: as large as fits */

/** Delay after dragging or zooming before the URL is updated. */
const REST_MS = 150;
const LEAST = 0.02;
const MOST = 64;
/** The viewers' parameters in the URL, removed when a viewer is closed. */
export const CLOSED = { img: "", zoom: "", sharp: "", light: "", show: "", other: "" };

/** @param {string} text "4" or "4,12.5,-3" @returns {View} */
export function parseView(text) {
  const [scale = NaN, x = 0, y = 0] = text.split(",").map(Number);
  return scale >= LEAST && scale <= MOST && Number.isFinite(x) && Number.isFinite(y) ? { scale, x, y } : null;
}

/** @param {View} view */
export function writeView(view) {
  if (!view) return "";
  const { scale, x, y } = view;
  const text = (/** @type {number} */ value) => String(Number(value.toPrecision(7)));
  return x || y ? [scale, x, y].map(text).join(",") : text(scale);
}

export function useImageLook() {
  const { params } = useSignal(place);
  /** What is dragged or turned and not in the address yet. */
  const [moving, setMoving] = useState(/** @type {Record<string, string>} */ ({}));
  const latest = useRef(moving);
  const timer = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));
  useEffect(() => () => clearTimeout(timer.current), []);
  const rest = () => {
    clearTimeout(timer.current);
    const changes = latest.current;
    latest.current = {};
    setMoving(latest.current);
    setParams(changes);
  };
  /** @param {Record<string, string>} changes @param {boolean} [now] */
  const change = (changes, now = true) => {
    latest.current = { ...latest.current, ...changes };
    if (now) return rest();
    setMoving(latest.current);
    clearTimeout(timer.current);
    timer.current = setTimeout(rest, REST_MS);
    return undefined;
  };
  const text = (/** @type {string} */ name) => moving[name] ?? params.get(name) ?? "";
  const light = Number(text("light") || 1);
  return {
    view: parseView(text("zoom")),
    /** @param {View} view */
    setView: (view) => change({ zoom: writeView(view) }),
    /** While it is dragged. @param {NonNullable<View>} view */
    move: (view) => change({ zoom: writeView({ ...view, scale: Math.min(MOST, Math.max(LEAST, view.scale)) }) }, false),
    light: light >= 0.2 && light <= 8 ? light : 1,
    /** @param {number} value */
    setLight: (value) => change({ light: value === 1 ? "" : String(value) }, false),
    sharp: text("sharp") === "1",
    setSharp: (/** @type {boolean} */ on) => change({ sharp: on ? "1" : "" }),
    /** "one", "difference", "beside" */
    mode: text("show") || "one",
    setMode: (/** @type {string} */ mode) => change({ show: mode === "one" ? "" : mode }),
    other: text("other"),
    setOther: (/** @type {string | number} */ other) => change({ other: String(other) }),
  };
}
