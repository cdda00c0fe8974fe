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
  const text = (/** @type {number} */ value) => String(Number(value.toPrecision(5)));
  return x || y ? [scale, x, y].map(text).join(",") : text(scale);
}

export function useImageLook() {
  const { params } = useSignal(place);
  const [moving, setMoving] = useState(/** @type {{view: View} | null} */ (null));
  const [turning, setTurning] = useState(NaN);
  const timer = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));
  useEffect(() => () => clearTimeout(timer.current), []);
  const rest = (/** @type {Record<string, string>} */ changes) => {
    clearTimeout(timer.current);
    timer.current = setTimeout(() => {
      setParams(changes);
      setMoving(null);
      setTurning(NaN);
    }, REST_MS);
  };
  const written = Number(params.get("light") || 1);
  const light = turning > 0 ? turning : written >= 0.2 && written <= 8 ? written : 1;
  const sharp = params.get("sharp") === "1";
  return {
    view: moving ? moving.view : parseView(params.get("zoom") ?? ""),
    /** @param {View} view */
    setView: (view) => {
      clearTimeout(timer.current);
      setMoving(null);
      setParams({ zoom: writeView(view) });
    },
    /** While it is dragged. @param {NonNullable<View>} view */
    move: (view) => {
      const within = { ...view, scale: Math.min(MOST, Math.max(LEAST, view.scale)) };
      setMoving({ view: within });
      rest({ zoom: writeView(within) });
    },
    light,
    /** @param {number} value */
    setLight: (value) => {
      setTurning(value);
      rest({ light: value === 1 ? "" : String(value) });
    },
    sharp,
    setSharp: (/** @type {boolean} */ on) => setParams({ sharp: on ? "1" : "" }),
    /** "one", "difference", "beside" */
    mode: params.get("show") ?? "one",
    setMode: (/** @type {string} */ mode) => setParams({ show: mode === "one" ? "" : mode }),
    other: params.get("other") ?? "",
    setOther: (/** @type {string | number} */ other) => setParams({ other }),
  };
}
