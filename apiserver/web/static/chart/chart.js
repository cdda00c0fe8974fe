// A chart: a small interface around uPlot. Input: series as buckets, and a look. Output: cursor position and zoom selections.
import uPlot from "../vendor/uplot.js";
import { alpha, color, dashOf } from "../core/colors.js";
import { loadStyle } from "../core/style.js";
import { token } from "../core/theme.js";
import { align, breaksOf, nearest, robustRange, valueRange } from "./buckets.js";
import { Highlight, LEAST_LINES } from "./highlight.js";
import { dotIndices, drawGaps, drawLanes, drawOutside, drawPauses } from "./lanes.js";
import { leastMagnitude, padded } from "./ranges.js";
import { smooth } from "./smooth.js";
import { durationLabel, durationTicks, linearTicks, logTicks, symlogTicks, timeLabel, timeTicks, valueLabels } from "./ticks.js";

await loadStyle("../vendor/uplot");

/** @typedef {import("./buckets.js").Buckets} Buckets */
/** @typedef {{key: string, name: string, pick: number, buckets: Buckets}} ChartSeries */
/**
 * @typedef {object} Look
 * @property {"step" | "wall" | "relative" | "process"} axis
 * @property {"lin" | "log" | "sym"} y
 * @property {number} halfLife in units of x; 0: none
 * @property {[number, number] | null} range of x; null: all
 * @property {[number, number] | null} [box] range of y, chosen by hand
 * @property {boolean} [robust]
 * @property {boolean} [bands] false: lines only
 */
/**
 * @typedef {object} Wishes
 * @property {(range: [number, number], box: [number, number] | null) => void} [onZoom]
 * @property {() => void} [onBack] a double click: undo the last zoom
 * @property {(x: number | null, nearestKey: string) => void} [onCursor]
 * @property {(x: number, nearestKey: string) => void} [onPick] a click that is no drag
 */

/** From this many lines on, lines are thin: easier to read, and drawn in a third of the time. */
const MANY_LINES = 24;
const FONT_SIZE = 11;

export class Chart {
  /**
   * @param {HTMLElement} host
   * @param {Wishes} wishes
   * @param {number} [scale] of fonts and lines, for pictures
   */
  constructor(host, wishes = {}, scale = 1) {
    this.scale = scale;
    this.host = host;
    this.wishes = wishes;
    /** @type {ChartSeries[]} */
    this.series = [];
    /** @type {Look} */
    this.look = { axis: "step", y: "lin", halfLife: 0, range: null };
    /** @type {any} */
    this.plot = null;
    this.shape = "";
    /** @type {[number, number]} */
    this.yRange = [0, 1];
    /** @type {[number, number]} */
    this.xRange = [0, 1];
    this.linear = 1;
    /** @type {number | null} where the cursor line stands */
    this.cursorAt = null;
    this.pointed = false;
    /** @type {Highlight | null} */
    this.lit = null;
    /** @type {Float64Array[]} the smoothed line of each series */
    this.smoothed = [];
  }

  /**
   * Draws series with a look, in the size of the host element.
   * @param {ChartSeries[]} series
   * @param {Look} look
   */
  show(series, look) {
    this.series = series;
    this.look = look;
    const width = this.host.clientWidth;
    const height = this.host.clientHeight;
    if (!width || !height) return;
    this.highlight(""); // it belongs to other points or another range
    this.measure();
    const data = this.columns();
    const shape = JSON.stringify([
      look.axis, look.y, look.halfLife > 0, look.bands, token("--fg"), series.map((one) => [one.key, one.pick]), devicePixelRatio,
    ]);
    if (shape !== this.shape || !this.plot) {
      this.plot?.destroy();
      this.shape = shape;
      this.plot = new uPlot(this.options(width, height), data, this.host);
      this.listen();
    } else {
      if (this.plot.width !== width || this.plot.height !== height) this.plot.setSize({ width, height });
      this.plot.setData(data, true);
    }
    queueMicrotask(() => this.pointed || this.setCursor(this.cursorAt)); // after uPlot has its scales
  }

  /** Ranges of both axes. */
  measure() {
    const { range, box, robust, y } = this.look;
    const all = this.series.map((one) => one.buckets);
    let first = Infinity;
    let last = -Infinity;
    for (const { x } of all) {
      if (!x.length) continue;
      first = Math.min(first, x[0]);
      last = Math.max(last, x[x.length - 1]);
    }
    if (!(first <= last)) [first, last] = [0, 1];
    const [from, to] = range ?? (first === last ? [first - 1, last + 1] : [first, last]);
    this.xRange = [from, to];
    const wanted = box ?? (robust ? robustRange(all, from, to) : valueRange(all, from, to)) ?? [0, 1];
    if (y === "log") this.yRange = this.logRange(all, wanted);
    else this.yRange = box ?? padded(wanted);
    if (y === "sym") this.linear = leastMagnitude(all);
  }

  /** @param {Buckets[]} all @param {[number, number]} wanted @returns {[number, number]} */
  logRange(all, wanted) {
    const high = wanted[1];
    let low = wanted[0];
    if (!(low > 0)) low = leastMagnitude(all, true);
    if (!(high > low)) return [low / 2, Math.max(high, low) * 2];
    const room = (high / low) ** 0.04;
    return [low / room, high * room];
  }

  /** Whether series are drawn with their bands; without them the columns of the bands are left out. */
  get banded() {
    return this.look.bands !== false;
  }

  /** uPlot's columns: x, then max and min (the band), mean and, if smoothed, the smoothed line of every series. */
  columns() {
    const all = this.series.map((one) => one.buckets);
    const { x, index } = align(all);
    const log = this.look.y === "log";
    const floor = this.yRange[0] / 10;
    this.smoothed = this.series.map(({ buckets }) => smooth(buckets, this.look.halfLife, breaksOf(buckets)));
    /** @type {any[]} */
    const data = [x];
    this.series.forEach(({ buckets }, s) => {
      const pick = (/** @type {Float64Array} */ values, clamp = false) => {
        const column = new Array(x.length);
        for (let i = 0; i < x.length; i++) {
          const at = index[s][i];
          const value = at < 0 ? NaN : values[at];
          column[i] = at === -1 ? undefined : at === -2 ? null : log && value <= 0 ? (clamp ? floor : null) : value;
        }
        return column;
      };
      if (this.banded) data.push(pick(buckets.max, true), pick(buckets.min, true));
      data.push(pick(buckets.mean));
      if (this.look.halfLife > 0) data.push(pick(this.smoothed[s]));
    });
    return data;
  }

  /** @param {number} width @param {number} height @returns {any} */
  options(width, height) {
    const { axis, y, halfLife } = this.look;
    // Bands of several noisy series cover each other: fainter bands keep the lines visible.
    const share = this.series.length > 2 ? 0.5 : 1;
    const muted = token("--muted");
    const grid = { stroke: token("--line"), width: 1 };
    const font = `${FONT_SIZE * this.scale}px ${token("--sans") || "sans-serif"}`;
    /** @type {any[]} */
    const series = [{}];
    /** @type {any[]} */
    const areas = [];
    const ratio = devicePixelRatio || 1;
    this.series.forEach((one) => {
      const stroke = color(one.pick);
      const hidden = { points: { show: false } };
      if (this.banded) {
        const edge = { ...hidden, stroke: alpha(stroke, (halfLife > 0 ? 0.15 : 0.4) * share), width: 1 / ratio };
        areas.push({ series: [series.length, series.length + 1], fill: alpha(stroke, 0.15 * share) });
        series.push(edge, { ...edge });
      }
      const dash = dashOf(one.pick);
      const dots = { show: true, size: 4 * this.scale, stroke, fill: stroke, filter: (/** @type {any} */ u, /** @type {number} */ s) => dotIndices(u, s) };
      if (halfLife > 0) {
        series.push({ ...hidden, stroke: alpha(stroke, 0.25), width: 1 });
        series.push({ stroke, width: 1.6 * this.scale, dash, points: dots });
      } else series.push({ stroke, width: (this.series.length > MANY_LINES ? 1 : 1.5) * this.scale, dash, points: dots });
    });
    return {
      width,
      height,
      ms: 1,
      pxAlign: 0,
      padding: [8 * this.scale, 10 * this.scale, 0, 0],
      legend: { show: false },
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false, dist: 4 },
        bind: { dblclick: () => () => this.wishes.onBack?.() },
      },
      scales: {
        x: { time: false, range: () => this.xRange },
        y: { distr: y === "log" ? 3 : y === "sym" ? 4 : 1, asinh: this.linear, range: () => this.yRange },
      },
      axes: [
        {
          stroke: muted, font, grid: { ...grid, show: false }, ticks: { ...grid, size: 4 }, size: 26 * this.scale, gap: 3,
          splits: () => this.xTicks(axis, width).ticks,
          values: (/** @type {any} */ _u, /** @type {number[]} */ ticks) => this.xLabels(axis, ticks, width),
        },
        {
          stroke: muted, font, grid, ticks: { show: false }, gap: 4,
          size: (/** @type {any} */ _u, /** @type {string[] | null} */ values) => this.scale * Math.max(40, ...(values ?? []).map((text) => text.length * 6.2 + 12)),
          splits: () => this.yTicks(height),
          values: (/** @type {any} */ _u, /** @type {number[]} */ ticks) => valueLabels(ticks, y === "lin" && ticks.length > 1 ? ticks[1] - ticks[0] : Math.min(...ticks.map(Math.abs).filter(Boolean))),
        },
      ],
      series,
      bands: areas,
      hooks: {
        draw: [(/** @type {any} */ u) => this.drawMarks(u)],
        setSelect: [(/** @type {any} */ u) => this.selected(u)],
        setCursor: [(/** @type {any} */ u) => this.moved(u)],
      },
    };
  }

  /** @param {string} axis @param {number} width */
  xTicks(axis, width) {
    const [from, to] = this.xRange;
    const most = Math.max(2, Math.floor(width / (axis === "step" ? 70 : 90)));
    if (axis === "step") return linearTicks(from, to, most, 1);
    return axis === "wall" ? timeTicks(from, to, most) : durationTicks(from, to, most);
  }

  /** @param {string} axis @param {number[]} ticks @param {number} width */
  xLabels(axis, ticks, width) {
    const { step } = this.xTicks(axis, width);
    if (axis === "step") return valueLabels(ticks, Math.max(step, 1));
    return ticks.map((tick) => (axis === "wall" ? timeLabel(tick, step) : durationLabel(tick)));
  }

  /** Ticks of an axis as drawn, with their labels. @param {"x" | "y"} name @returns {[number[], string[]]} */
  ticksOf(name) {
    const axis = this.plot.axes[name === "x" ? 0 : 1];
    const ticks = /** @type {number[]} */ (axis.splits(this.plot));
    const inside = name === "x" ? this.xRange : this.yRange;
    const kept = ticks.filter((tick) => tick >= inside[0] && tick <= inside[1]);
    return [kept, axis.values(this.plot, kept).map((/** @type {any} */ one) => String(one ?? ""))];
  }

  /** @param {number} height */
  yTicks(height) {
    const [low, high] = this.yRange;
    const most = Math.max(2, Math.floor(height / 38));
    if (this.look.y === "log") return logTicks(low, high, most);
    if (this.look.y === "sym") return symlogTicks(low, high, this.linear, most);
    return linearTicks(low, high, most).ticks;
  }

  /** @param {any} u */
  drawMarks(u) {
    const { left, top, width, height } = u.bbox;
    const { ctx } = u;
    const ratio = uPlot.pxRatio * this.scale;
    const plot = {
      ctx, left, top, width, height, ratio,
      px: (/** @type {number} */ x) => u.valToPos(x, "x", true),
      py: (/** @type {number} */ y) => u.valToPos(y, "y", true),
    };
    const all = this.series.map((one) => ({ buckets: one.buckets, color: color(one.pick) }));
    ctx.save();
    ctx.beginPath();
    ctx.rect(left, top, width, height);
    ctx.clip();
    const [low, high] = this.yRange;
    if (this.look.y === "lin" && low < 0 && high > 0) {
      ctx.fillStyle = token("--edge");
      ctx.fillRect(left, Math.round(plot.py(0)), width, ratio);
    }
    drawPauses(plot, all, {
      axis: this.look.axis, text: token("--muted"), line: token("--line"), font: `${FONT_SIZE * ratio}px ${token("--sans")}`,
    });
    if (this.look.y !== "log") drawGaps(plot, all);
    if (this.look.robust || this.look.box || this.look.y === "log") drawOutside(plot, all, low, high);
    drawLanes(plot, all);
    ctx.restore();
  }

  listen() {
    this.lit = new Highlight(this.plot.over);
    let pressed = NaN;
    // Shift-drag selects a box: zooms y too.
    this.plot.over.addEventListener(
      "mousedown",
      (/** @type {MouseEvent} */ event) => {
        pressed = event.offsetX;
        this.plot.cursor.drag.y = event.shiftKey;
        this.plot.cursor.drag.uni = undefined;
      },
      true,
    );
    this.plot.over.addEventListener("click", (/** @type {MouseEvent} */ event) => {
      if (Math.abs(event.offsetX - pressed) >= 4) return;
      const x = this.plot.posToVal(event.offsetX, "x");
      this.wishes.onPick?.(x, this.nearestSeries(x, this.plot.posToVal(event.offsetY, "y")));
    });
    this.plot.over.addEventListener("mousemove", () => (this.pointed = true), true);
    this.plot.over.addEventListener("mouseleave", () => {
      this.pointed = false;
      this.highlight("");
      this.wishes.onCursor?.(null, "");
    });
    this.plot.over.addEventListener(
      "wheel",
      (/** @type {WheelEvent} */ event) => {
        if (!event.ctrlKey) return;
        event.preventDefault();
        const at = this.plot.posToVal(event.offsetX, "x");
        const [from, to] = this.xRange;
        const factor = event.deltaY > 0 ? 1.25 : 0.8;
        this.wishes.onZoom?.([at - (at - from) * factor, at + (to - at) * factor], null);
      },
      { passive: false },
    );
  }

  /** @param {any} u */
  selected(u) {
    const { left, width, top, height } = u.select;
    if (width < 4) return;
    const box = this.plot.cursor.drag.y && height >= 4;
    /** @type {[number, number]} */
    const range = [u.posToVal(left, "x"), u.posToVal(left + width, "x")];
    u.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
    this.wishes.onZoom?.(range, box ? [u.posToVal(top + height, "y"), u.posToVal(top, "y")] : null);
  }

  /** @param {any} u */
  moved(u) {
    if (!this.pointed) return; // uPlot places its cursor again after it has drawn
    const { left, top } = u.cursor;
    if (!(left >= 0)) return;
    const x = u.posToVal(left, "x");
    const key = this.nearestSeries(x, u.posToVal(top, "y"));
    this.highlight(key);
    this.wishes.onCursor?.(x, key);
  }

  /** Highlights a series; "" none. @param {string} key */
  highlight(key) {
    if (!this.plot || (key && this.series.length < LEAST_LINES)) return;
    const s = this.series.findIndex((one) => one.key === key);
    this.lit?.show(this.series[s] ?? null, this.smoothed[s], {
      x: (value) => this.plot.valToPos(value, "x"),
      y: (value) => this.plot.valToPos(this.look.y === "log" ? Math.max(value, this.yRange[0] / 10) : value, "y"),
      ground: token("--raised"),
    });
  }

  /** The series whose line is nearest by vertical distance. @param {number} x @param {number} y */
  nearestSeries(x, y) {
    let best = "";
    let least = Infinity;
    this.series.forEach((one, s) => {
      const at = nearest(one.buckets.x, x);
      const distance = at < 0 ? NaN : Math.abs(this.smoothed[s][at] - y);
      if (distance < least) [best, least] = [one.key, distance];
    });
    return best;
  }

  /** Moves the cursor line without calling `onCursor`; null: hides it. @param {number | null} x */
  setCursor(x) {
    this.cursorAt = x;
    this.pointed = false;
    if (!this.plot?.status || (x === null && !(this.plot.cursor.left >= 0))) return;
    this.plot.setCursor(x === null ? { left: -10, top: -10 } : { left: this.plot.valToPos(x, "x"), top: 10 }, false);
  }

  destroy() {
    this.plot?.destroy();
    this.plot = null;
  }
}
