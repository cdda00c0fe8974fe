// Highlights the line under the pointer: an overlay fades the chart, and the line is drawn on top with its band. The chart itself is not redrawn.
import { alpha, color, dashOf } from "../core/colors.js";
import { breaksOf } from "./buckets.js";

/** Charts with fewer lines need no highlight. */
export const LEAST_LINES = 3;
const FADED = 0.35;

export class Highlight {
  /** @param {HTMLElement} over the part of a chart in which lines are drawn */
  constructor(over) {
    this.over = over;
    /** @type {HTMLCanvasElement | null} */
    this.glass = null;
    this.key = "";
  }

  /**
   * Highlights a series; null: removes the highlight.
   * @param {import("./chart.js").ChartSeries | null} one
   * @param {Float64Array | undefined} line its means, or the smoothed line
   * @param {{x: (value: number) => number, y: (value: number) => number, ground: string}} plot where a value is, px in `over`; the colour behind the lines
   */
  show(one, line, plot) {
    if ((one?.key ?? "") === this.key) return;
    this.key = one?.key ?? "";
    if (!one || !line) {
      this.glass?.remove();
      this.glass = null;
      return;
    }
    const { clientWidth: width, clientHeight: height } = this.over;
    const ratio = devicePixelRatio || 1;
    if (!this.glass) {
      this.glass = document.createElement("canvas");
      this.glass.className = "chart-glass";
      this.over.prepend(this.glass);
    }
    this.glass.width = width * ratio;
    this.glass.height = height * ratio;
    const pen = this.glass.getContext("2d");
    if (!pen) return;
    pen.scale(ratio, ratio);
    pen.fillStyle = alpha(plot.ground, 1 - FADED);
    pen.fillRect(0, 0, width, height);
    const paint = color(one.pick);
    const { buckets } = one;
    const breaks = breaksOf(buckets);
    for (let from = 0; from < buckets.x.length; ) {
      let to = from;
      // A part without gaps; buckets without finite values are skipped.
      const places = [];
      for (; to < buckets.x.length && (to === from || !breaks[to]); to++) if (buckets.count[to] > 0) places.push(to);
      this.stretch(pen, places, buckets, line, plot, paint, dashOf(one.pick));
      from = to;
    }
  }

  /**
   * @param {CanvasRenderingContext2D} pen @param {number[]} places @param {import("./buckets.js").Buckets} buckets @param {Float64Array} line
   * @param {{x: (value: number) => number, y: (value: number) => number}} plot @param {string} paint @param {number[]} dash
   */
  stretch(pen, places, { x, min, max }, line, plot, paint, dash) {
    if (places.length === 1) {
      pen.fillStyle = paint;
      pen.beginPath();
      pen.arc(plot.x(x[places[0]]), plot.y(line[places[0]]), 3, 0, 7);
      pen.fill();
      return;
    }
    pen.beginPath();
    for (const i of places) pen.lineTo(plot.x(x[i]), plot.y(max[i]));
    for (const i of places.toReversed()) pen.lineTo(plot.x(x[i]), plot.y(min[i]));
    pen.fillStyle = alpha(paint, 0.2);
    pen.fill();
    pen.beginPath();
    for (const i of places) pen.lineTo(plot.x(x[i]), plot.y(line[i]));
    pen.strokeStyle = paint;
    pen.lineWidth = 2;
    pen.lineJoin = "round";
    pen.setLineDash(dash);
    pen.stroke();
  }
}
