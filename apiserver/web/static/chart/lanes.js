// Marks beside the lines of a chart: NaN and infinities in lanes, values outside of the range, gaps, pauses, resumed runs.
import { duration } from "../core/format.js";
import { alpha } from "../core/colors.js";
import { breaksOf, sharedPauses } from "./buckets.js";

/** @typedef {import("./buckets.js").Buckets} Buckets */
/** @typedef {{buckets: Buckets, color: string}} Drawn */
/** @typedef {{ctx: CanvasRenderingContext2D, left: number, top: number, width: number, height: number, ratio: number, px: (x: number) => number, py: (y: number) => number}} Plot */

const MARK = 3.5;
const DOTS_BELOW = 60;

/**
 * Marks in the lanes: ◇ NaN and ▼ −Inf at the bottom, ▲ +Inf at the top. Overlapping marks are merged.
 * @param {Plot} plot
 * @param {Drawn[]} all
 */
export function drawLanes(plot, all) {
  const { ctx, top, height, ratio } = plot;
  for (const { buckets, color } of all) {
    ctx.fillStyle = color;
    ctx.strokeStyle = color;
    const size = MARK * ratio;
    marks(plot, buckets.x, buckets.posInf, (x) => triangle(ctx, x, top + size, size, -1));
    marks(plot, buckets.x, buckets.negInf, (x) => triangle(ctx, x, top + height - size, size, 1));
    marks(plot, buckets.x, buckets.nan, (x) => diamond(ctx, x, top + height - size, size));
  }
}

/**
 * Arrowheads for values outside of the visible range.
 * @param {Plot} plot
 * @param {Drawn[]} all
 * @param {number} low
 * @param {number} high
 */
export function drawOutside(plot, all, low, high) {
  const { ctx, top, height, ratio } = plot;
  const size = (MARK + 0.5) * ratio;
  for (const { buckets, color } of all) {
    ctx.fillStyle = color;
    const { x, min, max, count } = buckets;
    const above = Float64Array.from(x, (_, i) => (count[i] > 0 && max[i] > high ? 1 : 0));
    const below = Float64Array.from(x, (_, i) => (count[i] > 0 && min[i] < low ? 1 : 0));
    marks(plot, x, above, (at) => triangle(ctx, at, top + size, size, -1));
    marks(plot, x, below, (at) => triangle(ctx, at, top + height - size, size, 1));
  }
}

/**
 * Dotted lines over gaps, to distinguish them from measured lines.
 * @param {Plot} plot
 * @param {Drawn[]} all
 */
export function drawGaps(plot, all) {
  const { ctx, ratio } = plot;
  ctx.lineWidth = ratio;
  ctx.setLineDash([ratio, 3 * ratio]);
  for (const { buckets, color } of all) {
    const { x, mean, count } = buckets;
    const breaks = breaksOf(buckets);
    if (!breaks.includes(1)) continue;
    ctx.strokeStyle = alpha(color, 0.6);
    ctx.beginPath();
    let last = -1;
    for (let i = 0; i < x.length; i++) {
      if (!(count[i] > 0)) continue;
      if (breaks[i] && last >= 0) {
        ctx.moveTo(plot.px(x[last]), plot.py(mean[last]));
        ctx.lineTo(plot.px(x[i]), plot.py(mean[i]));
      }
      last = i;
    }
    ctx.stroke();
  }
  ctx.setLineDash([]);
}

/**
 * Pauses: hatched on time axes; by step, where they have no width, a line labelled with their length.
 * @param {Plot} plot
 * @param {Drawn[]} all
 * @param {{axis: string, text: string, line: string, font: string}} style
 */
export function drawPauses(plot, all, { axis, text, line, font }) {
  if (axis === "process") return;
  const timed = all.map(({ buckets }) => ({ x: buckets.x, times: axis === "step" ? buckets.time : buckets.x })).filter(({ times }) => times.length > 0 && !Number.isNaN(times[0]));
  if (!timed.length) return;
  const { ctx, left, top, width, height, ratio } = plot;
  ctx.font = font;
  ctx.textAlign = "center";
  ctx.textBaseline = "top";
  let free = -Infinity;
  for (const [from, to] of sharedPauses(timed.map(({ times }) => times))) {
    const at = axis === "step" ? timed[0].x[timed[0].times.findIndex((time) => time >= to)] : 0;
    const a = axis === "step" ? plot.px(at) : Math.max(left, plot.px(from));
    const b = axis === "step" ? a : Math.min(left + width, plot.px(to));
    if (b < left || a > left + width) continue;
    ctx.strokeStyle = line;
    ctx.lineWidth = ratio;
    if (b - a < 2 * ratio) {
      ctx.setLineDash([3 * ratio, 3 * ratio]);
      ctx.beginPath();
      ctx.moveTo(a, top);
      ctx.lineTo(a, top + height);
      ctx.stroke();
      ctx.setLineDash([]);
    } else hatch(plot, a, b);
    const label = `paused ${duration(to - from)}`;
    const room = ctx.measureText(label).width;
    const middle = Math.min(left + width - room / 2, Math.max(left + room / 2, (a + b) / 2));
    if (middle - room / 2 < free) continue;
    free = middle + room / 2 + 6 * ratio;
    ctx.fillStyle = text;
    ctx.fillText(label, middle, top + 2 * ratio);
  }
}

/** @param {Plot} plot @param {number} from @param {number} to */
function hatch({ ctx, top, height, ratio }, from, to) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(from, top, to - from, height);
  ctx.clip();
  ctx.beginPath();
  for (let x = from - height; x < to; x += 8 * ratio) {
    ctx.moveTo(x, top + height);
    ctx.lineTo(x + height, top);
  }
  ctx.stroke();
  ctx.restore();
}

/**
 * @param {Plot} plot
 * @param {Float64Array} x
 * @param {Float64Array} counts
 * @param {(at: number) => void} draw
 */
function marks(plot, x, counts, draw) {
  const { left, width, ratio } = plot;
  let last = -Infinity;
  if (!counts.some(Boolean)) return;
  for (let i = 0; i < x.length; i++) {
    if (!counts[i]) continue;
    const at = plot.px(x[i]);
    if (at < left - 1 || at > left + width + 1 || at - last < 2 * MARK * ratio) continue;
    last = at;
    draw(at);
  }
}

/** @param {CanvasRenderingContext2D} ctx @param {number} x @param {number} y @param {number} size @param {number} down 1: points down, -1: up */
function triangle(ctx, x, y, size, down) {
  ctx.beginPath();
  ctx.moveTo(x, y + down * size);
  ctx.lineTo(x - size, y - down * size);
  ctx.lineTo(x + size, y - down * size);
  ctx.fill();
}

/** @param {CanvasRenderingContext2D} ctx @param {number} x @param {number} y @param {number} size */
function diamond(ctx, x, y, size) {
  ctx.beginPath();
  ctx.moveTo(x, y - size);
  ctx.lineTo(x + size, y);
  ctx.lineTo(x, y + size);
  ctx.lineTo(x - size, y);
  ctx.closePath();
  ctx.fill();
}

/** Points that get a dot: all if there are few, else isolated ones. @param {any} u @param {number} s */
export function dotIndices(u, s) {
  const values = u.data[s];
  const [from, to] = u.series[0].idxs ?? [0, values.length - 1];
  const all = [];
  const lonely = [];
  let before = true; // the line is broken (or begins) before this point
  let last = -1;
  for (let i = from; i <= to; i++) {
    if (values[i] === undefined) continue;
    if (values[i] === null) {
      if (last >= 0 && before) lonely.push(last);
      before = true;
      last = -1;
      continue;
    }
    if (last >= 0) before = false;
    all.push(i);
    last = i;
  }
  if (last >= 0 && before) lonely.push(last);
  return all.length < DOTS_BELOW ? all : lonely;
}
