// A small picture of a series, as SVG: its mean, and a band from minimum to maximum.
import { h } from "../vendor/preact.js";

/** A cell without a value. */
const NONE = 255;
/** Length of the mark of a point without neighbours. */
const MARK = 2;

/**
 * The paths of a curve in a picture of this size.
 * @param {import("../core/thumbnails.js").Thumb} thumb @param {string} paint @param {number} width @param {number} height
 */
export function curve({ min, mean, max }, paint, width, height) {
  const count = mean.length;
  const x = (/** @type {number} */ i) => (count < 2 ? width / 2 : 1 + (i * (width - 2)) / (count - 1)).toFixed(1);
  const y = (/** @type {number} */ level) => (1 + (1 - level / 254) * (height - 2)).toFixed(1);
  let line = "";
  let band = "";
  // Draws runs of cells with values; gaps are not bridged.
  for (let from = 0; from < count; from++) {
    if (mean[from] === NONE) continue;
    let to = from;
    let upper = "";
    let lower = "";
    let middle = "";
    for (; to < count && mean[to] !== NONE; to++) {
      upper += `L${x(to)} ${y(max[to])}`;
      lower = `L${x(to)} ${y(min[to])}${lower}`;
      middle += `L${x(to)} ${y(mean[to])}`;
    }
    line += to - from === 1 ? `M${x(from)} ${y(mean[from])}m${-MARK / 2} 0h${MARK}` : `M${middle.slice(1)}`;
    if (to - from > 1) band += `M${upper.slice(1)}${lower}Z`;
    from = to;
  }
  return [
    h("path", { key: "band", d: band, fill: paint, "fill-opacity": 0.22 }),
    h("path", { key: "line", d: line, fill: "none", stroke: paint, "stroke-width": 1.5, "stroke-linecap": "round", "stroke-linejoin": "round", "vector-effect": "non-scaling-stroke" }),
  ];
}
