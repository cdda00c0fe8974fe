// A chart as SVG: the lines, bands and ticks of the screen, editable in a vector editor.
import { color, dashOf } from "../core/colors.js";
import { token } from "../core/theme.js";
import { breaksOf } from "./buckets.js";

/** @typedef {import("./chart.js").Chart} Chart */
/** @typedef {{key: string, name: string, pick: number, buckets: import("./buckets.js").Buckets}} Line */

const HEAD = 28;
const ENTRY = 18;
/** px of a character of a legend, about. */
const CHARACTER = 6.4;

/** @param {string} text Control characters have no place in XML. */
export const escaped = (text) => text.replace(/[&<>"']/g, (one) => `&#${one.charCodeAt(0)};`).replace(/[^\t\n\r -\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu, "\ufffd");

/** @param {number} value */
const px = (value) => String(Math.round(value * 100) / 100);

/**
 * The entries of a legend, wrapped into rows.
 * @param {Line[]} series @param {number} width @param {(name: string) => number} widthOf @param {number} [around] px beside a name
 * @returns {{one: Line, x: number, row: number}[]}
 */
export function legendRows(series, width, widthOf, around = 34) {
  let x = 0;
  let row = 0;
  return series.map((one) => {
    const room = Math.min(width, widthOf(one.name) + around);
    if (x > 0 && x + room > width) [x, row] = [0, row + 1];
    const entry = { one, x, row };
    x += room;
    return entry;
  });
}

/**
 * @param {string} title @param {Line[]} series @param {Chart} chart what is drawn @param {{width: number, height: number}} size
 * @returns {string}
 */
export function svgOf(title, series, chart, { width, height }) {
  const u = chart.plot;
  const box = { left: u.over.offsetLeft, top: u.over.offsetTop + HEAD, width: u.over.clientWidth, height: u.over.clientHeight };
  const at = {
    x: (/** @type {number} */ x) => box.left + u.valToPos(x, "x"),
    y: (/** @type {number} */ y) => box.top + u.valToPos(chart.look.y === "log" ? Math.max(y, chart.yRange[0] / 10) : y, "y"),
  };
  const legend = legendRows(series, width - 20, (name) => name.length * CHARACTER);
  const rows = (legend.at(-1)?.row ?? 0) + 1;
  const whole = height + HEAD + rows * ENTRY + 8;
  const muted = token("--muted");
  const text = (/** @type {number} */ x, /** @type {number} */ y, /** @type {string} */ said, more = "") => `<text x="${px(x)}" y="${px(y)}"${more}>${escaped(said)}</text>`;
  const [xTicks, xLabels] = chart.ticksOf("x");
  const [yTicks, yLabels] = chart.ticksOf("y");
  const parts = [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${whole}" viewBox="0 0 ${width} ${whole}" font-family="system-ui, sans-serif" font-size="11" fill="${token("--fg")}">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="100%" height="100%" fill="${token("--bg")}"/>`,
    text(10, 18, title, ' font-size="13" font-weight="600"'),
    `<clipPath id="plot"><rect x="${px(box.left)}" y="${px(box.top)}" width="${px(box.width)}" height="${px(box.height)}"/></clipPath>`,
    ...yTicks.map((tick, i) => `<path d="M${px(box.left)} ${px(at.y(tick))}h${px(box.width)}" stroke="${token("--line")}"/>${text(box.left - 6, at.y(tick) + 4, yLabels[i], ` text-anchor="end" fill="${muted}"`)}`),
    ...xTicks.map((tick, i) => text(at.x(tick), box.top + box.height + 16, xLabels[i], ` text-anchor="middle" fill="${muted}"`)),
    '<g clip-path="url(#plot)">',
    ...series.map((one, s) => drawn(one, chart.smoothed[s], chart, at)),
    "</g>",
    ...legend.map(({ one, x, row }) => {
      const y = height + HEAD + row * ENTRY + 10;
      return `<path d="M${px(10 + x)} ${y - 4}h14" stroke="${color(one.pick)}" stroke-width="3"/>${text(30 + x, y, one.name)}`;
    }),
    "</svg>\n",
  ];
  return parts.join("\n");
}

/** @param {Line} one @param {Float64Array} smoothed @param {Chart} chart @param {{x: (x: number) => number, y: (y: number) => number}} at */
function drawn(one, smoothed, chart, at) {
  const stroke = color(one.pick);
  const { buckets } = one;
  const parts = [];
  for (const part of stretches(buckets)) {
    const points = (/** @type {ArrayLike<number>} */ column, indices = part) => indices.map((i) => `${px(at.x(buckets.x[i]))} ${px(at.y(column[i]))}`).join("L");
    const [first, last] = [part[0], part[part.length - 1]];
    if (chart.banded && part.length > 1 && part.some((i) => buckets.min[i] < buckets.max[i])) {
      parts.push(`<path d="M${points(buckets.max)}L${points(buckets.min, [...part].reverse())}Z" fill="${stroke}" fill-opacity="0.15"/>`);
    }
    if (first === last) parts.push(`<circle cx="${px(at.x(buckets.x[first]))}" cy="${px(at.y(smoothed[first]))}" r="2" fill="${stroke}"/>`);
    else {
      if (chart.look.halfLife > 0) parts.push(`<path d="M${points(buckets.mean)}" fill="none" stroke="${stroke}" stroke-opacity="0.25"/>`);
      const dash = dashOf(one.pick);
      parts.push(`<path d="M${points(smoothed)}" fill="none" stroke="${stroke}" stroke-width="1.5"${dash.length ? ` stroke-dasharray="${dash.join(" ")}"` : ""}/>`);
    }
  }
  return parts.join("");
}

/** Runs of bucket indices that a line joins. @param {import("./buckets.js").Buckets} buckets @returns {number[][]} */
function stretches(buckets) {
  const breaks = breaksOf(buckets);
  /** @type {number[][]} */
  const found = [];
  for (let i = 0; i < buckets.x.length; i++) {
    if (!(buckets.count[i] > 0)) continue;
    if (breaks[i] || !found.length) found.push([]);
    found[found.length - 1].push(i);
  }
  return found;
}

/**
 * A chart as a Plotly figure: the drawn buckets, each line with its band. NaN becomes null, as JSON requires.
 * @param {string} title @param {Line[]} series @param {import("./chart.js").Look} look
 */
export function plotlyOf(title, series, look) {
  const [from, to] = look.range ?? [-Infinity, Infinity];
  const xs = (/** @type {number} */ x) => (look.axis === "wall" ? new Date(x).toISOString() : x);
  const data = series.flatMap((one) => {
    const { buckets } = one;
    const inside = [...buckets.x.keys()].filter((i) => buckets.x[i] >= from && buckets.x[i] <= to);
    const x = inside.map((i) => xs(buckets.x[i]));
    const y = (/** @type {ArrayLike<number>} */ column) => inside.map((i) => (Number.isFinite(column[i]) ? column[i] : null));
    const line = { color: color(one.pick) };
    const edge = { type: "scatter", mode: "lines", x, line: { ...line, width: 0 }, legendgroup: one.key, showlegend: false, hoverinfo: "skip" };
    const banded = inside.some((i) => buckets.min[i] < buckets.max[i]);
    return [
      ...(banded ? [{ ...edge, y: y(buckets.max) }, { ...edge, y: y(buckets.min), fill: "tonexty", fillcolor: `${color(one.pick)}26` }] : []),
      { type: "scatter", mode: "lines", name: one.name, x, y: y(buckets.mean), line, legendgroup: one.key, connectgaps: false },
    ];
  });
  const axis = { step: "step", wall: "time", relative: "ms since the first event", process: "ms without pauses" }[look.axis];
  return { data, layout: { title: { text: title }, xaxis: { title: { text: axis } }, yaxis: { type: look.y === "log" ? "log" : "linear" } } };
}
