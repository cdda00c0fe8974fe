// The bar above charts: axis, scale, smoothing, range, size.
import { setParams } from "../core/url.js";
import { button, div, input, label, span } from "../ui/html.js";
import { AXES, SCALES, axisParam, halfLifeSlider, halfLifeText, xText } from "./look.js";

/**
 * @param {{axis: import("./look.js").AxisName, y: string, halfLife: number, span: number, range: [number, number] | null, size?: string,
 *   onHalfLife: (value: number) => void, onAll: () => void, onSize?: (size: string) => void, small?: boolean}} props `small`: all series at once can be chosen
 */
export function ChartBar({ axis, y, halfLife, span: length, range, size, onHalfLife, onAll, onSize, small = false }) {
  const slider = halfLifeSlider(length);
  return div(
    { class: "chart-bar", role: "toolbar", "aria-label": "How charts are shown" },
    segments("X axis", AXES.map((one) => ({ text: one.label, title: `${one.title} (x)`, on: one.name === axis, run: () => setParams({ x: axisParam(one.name), s: "", r: "", at: "" }) }))),
    segments("Y axis", SCALES.map((one) => ({ text: one.label, title: `${one.title} (y)`, on: one.name === y, run: () => setParams({ y: one.name === "lin" ? "" : one.name }) }))),
    label(
      { class: "smoothing", title: "Half-life of the smoothing: a point this far back has half the weight (s, S, 0)" },
      span("Smoothing"),
      input({
        type: "range", min: 0, max: 100, step: 1, value: slider.toPosition(halfLife), "aria-valuetext": `half-life ${halfLifeText(halfLife, axis)}`,
        onInput: (/** @type {any} */ event) => onHalfLife(slider.toValue(Number(event.target.value))),
      }),
      span({ class: "smoothing-value" }, halfLife > 0 ? `half-life ${halfLifeText(halfLife, axis)}` : "off"),
    ),
    span({ class: "spread" }),
    range && span({ class: "muted range-text" }, `${xText(range[0], axis)} … ${xText(range[1], axis).replace("step ", "")}`),
    range && button({ type: "button", class: "button", onClick: onAll, title: "Whole range (=)" }, "All"),
    onSize && segments("Size of charts", [...(small ? ["XS"] : []), "S", "M", "L"].map((one) => ({ text: one, title: { XS: "All series as thumbnails", S: "Three per row", M: "Two per row", L: "One per row" }[one] ?? one, on: one === size, run: () => onSize(one) }))),
  );
}

/** @param {string} name @param {{text: string, title: string, on: boolean, run: () => void}[]} options */
export function segments(name, options) {
  return div(
    { class: "segments", role: "group", "aria-label": name },
    options.map((one) => button({ key: one.text, type: "button", title: one.title, "aria-pressed": one.on ? "true" : "false", onClick: one.run }, one.text)),
  );
}
