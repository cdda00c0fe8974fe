// Chart export: PNG at twice the size, SVG, Plotly figure, CSV of the drawn buckets, CSV of all points.
import { call } from "../core/api.js";
import { color } from "../core/colors.js";
import { save } from "../core/save.js";
import { token } from "../core/theme.js";
import { Chart } from "./chart.js";
import { legendRows, plotlyOf, svgOf } from "./svg.js";

/** @typedef {import("./chart.js").ChartSeries} ChartSeries */
/** @typedef {import("./chart.js").Look} Look */

const SCALE = 2;
/** px of a row of a legend. */
const ROW = 18;
const PAGE = 100_000;

/**
 * @param {string} name file name without extension
 * @param {string} title
 * @param {ChartSeries[]} series
 * @param {Look} look
 * @param {{width: number, height: number}} size in CSS pixels
 */
export function savePng(name, title, series, look, { width, height }) {
  return offscreen(series, look, { width: width * SCALE, height: height * SCALE }, SCALE / (devicePixelRatio || 1), async (host) => {
    const drawn = /** @type {HTMLCanvasElement} */ (host.querySelector("canvas"));
    const canvas = document.createElement("canvas");
    const head = 26 * SCALE;
    const ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    ctx.font = `${11 * SCALE}px ${token("--sans")}`;
    const legend = legendRows(series, (width - 20) * SCALE, (label) => ctx.measureText(label).width, 34 * SCALE);
    const below = head + height * SCALE;
    canvas.width = width * SCALE;
    canvas.height = below + ((legend.at(-1)?.row ?? 0) * ROW + 22) * SCALE;
    ctx.fillStyle = token("--bg");
    ctx.fillRect(0, 0, canvas.width, canvas.height);
    ctx.fillStyle = token("--fg");
    ctx.font = `600 ${13 * SCALE}px ${token("--sans")}`;
    ctx.fillText(title, 10 * SCALE, 18 * SCALE, canvas.width - 20 * SCALE);
    ctx.drawImage(drawn, 0, head, canvas.width, height * SCALE);
    ctx.font = `${11 * SCALE}px ${token("--sans")}`;
    for (const { one, x, row } of legend) {
      const [left, base] = [10 * SCALE + x, below + (row * ROW + 14) * SCALE];
      ctx.fillStyle = color(one.pick);
      ctx.fillRect(left, base - 5 * SCALE, 10 * SCALE, 3 * SCALE);
      ctx.fillStyle = token("--fg");
      ctx.fillText(one.name, left + 14 * SCALE, base, (width - 44) * SCALE);
    }
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
    if (!blob) throw new Error("the browser could not draw the chart as a picture");
    save(`${name}.png`, blob);
  });
}

/**
 * @param {string} name @param {string} title @param {ChartSeries[]} series @param {Look} look @param {{width: number, height: number}} size in CSS pixels
 */
export function saveSvg(name, title, series, look, size) {
  return offscreen(series, look, size, 1, async (_host, chart) => save(`${name}.svg`, new Blob([svgOf(title, series, chart, size)], { type: "image/svg+xml" })));
}

/** The chart as a figure of Plotly. @param {string} name @param {string} title @param {ChartSeries[]} series @param {Look} look */
export function saveFigure(name, title, series, look) {
  save(`${name}.json`, new Blob([JSON.stringify(plotlyOf(title, series, look))], { type: "application/json" }));
}

/**
 * Draws a chart off screen while `work` runs.
 * @param {ChartSeries[]} series @param {Look} look @param {{width: number, height: number}} size @param {number} scale
 * @param {(host: HTMLElement, chart: Chart) => Promise<void>} work
 */
async function offscreen(series, look, { width, height }, scale, work) {
  const host = document.createElement("div");
  host.className = "chart-offscreen";
  host.style.width = `${width}px`;
  host.style.height = `${height}px`;
  document.body.append(host);
  const chart = new Chart(host, {}, scale);
  try {
    chart.show(series, look);
    await new Promise((done) => setTimeout(done)); // uPlot draws in a microtask
    await work(host, chart);
  } finally {
    chart.destroy();
    host.remove();
  }
}

/** @param {string | number} value */
function cell(value) {
  const text = typeof value === "number" ? spelled(value) : value;
  // Prevents formula injection in spreadsheets.
  const safe = typeof value === "string" && /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return /[",\n\r]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}

/** @param {number} value */
const spelled = (value) => (Number.isNaN(value) ? "NaN" : Number.isFinite(value) ? String(value) : value > 0 ? "inf" : "-inf");

/** @param {(string | number)[][]} rows */
const csv = (rows) => new Blob([rows.map((row) => row.map(cell).join(",")).join("\n") + "\n"], { type: "text/csv" });

/**
 * @param {string} name
 * @param {ChartSeries[]} series
 * @param {Look} look
 */
export function saveDrawn(name, series, look) {
  /** @type {(string | number)[][]} */
  const rows = [["series", look.axis === "step" ? "step" : "ms", "mean", "min", "max", "count", "nan", "pos_inf", "neg_inf"]];
  const [from, to] = look.range ?? [-Infinity, Infinity];
  for (const { name: label, buckets: b } of series) {
    for (let i = 0; i < b.x.length; i++) {
      if (b.x[i] < from || b.x[i] > to) continue;
      rows.push([label, b.x[i], b.mean[i], b.min[i], b.max[i], b.count[i], b.nan[i], b.posInf[i], b.negInf[i]]);
    }
  }
  save(`${name}.csv`, csv(rows));
}

/**
 * Every point as reported, page by page.
 * @param {string} name
 * @param {string} task
 * @param {string} metric
 * @param {string[]} variants
 */
export async function saveAll(name, task, metric, variants) {
  /** @type {(string | number)[][]} */
  const rows = [["series", "step", "value"]];
  let scroll;
  for (;;) {
    const page = await call("events.scalar_metrics_iter_raw", { task, metric: { metric, variants }, batch_size: PAGE, scroll_id: scroll });
    for (const [variant, { iter, y }] of Object.entries(page.variants)) {
      for (let i = 0; i < iter.length; i++) rows.push([variant, iter[i], y[i] ?? "non-finite"]);
    }
    if (page.returned < PAGE || !page.scroll_id) break;
    scroll = page.scroll_id;
  }
  save(`${name}_all.csv`, csv(rows));
}
