// The map beside the log: times, write rate, warnings, errors and hits, and the visible part.
import { useEffect, useRef } from "../vendor/hooks.js";
import { clock, day } from "../core/format.js";
import { theme, token } from "../core/theme.js";
import { canvas, div } from "../ui/html.js";
import { useSignal } from "../ui/hooks.js";

/** Least width for times. */
const ROOMY = 60;
/** Least px between two times. */
const APART = 44;
const DAY_MS = 86_400_000;

/** @typedef {{position: number, start: number, count: number, bad: number, warn: number}} Slice of time; all are equally long */
/** @typedef {{slices: Slice[], total: number, levels: Record<string, number>}} Overview */

/**
 * @param {{slices: Slice[], total: number, from: number, to: number, hits: number[], onGo: (position: number) => void}} props
 */
export function LogMap({ slices, total, from, to, hits, onGo }) {
  const element = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  const dragging = useRef(false);
  const shownTheme = useSignal(theme);
  useEffect(() => {
    const target = element.current;
    if (!target) return undefined;
    const paint = () => draw(target, slices, total, from, to, hits);
    paint();
    const observer = new ResizeObserver(paint);
    observer.observe(target);
    return () => observer.disconnect();
  }, [slices, total, from, to, hits, shownTheme]);
  const go = (/** @type {PointerEvent} */ event) => {
    const box = /** @type {HTMLElement} */ (event.currentTarget).getBoundingClientRect();
    onGo(Math.round(((event.clientY - box.top) / box.height) * total));
  };
  return div(
    { class: "log-map" },
    canvas({
      ref: element,
      role: "img",
      "aria-label": "Map of the log: times, volume, warnings and errors",
      onPointerDown: (/** @type {PointerEvent} */ event) => {
        dragging.current = true;
        /** @type {HTMLElement} */ (event.currentTarget).setPointerCapture(event.pointerId);
        go(event);
      },
      onPointerMove: (/** @type {PointerEvent} */ event) => dragging.current && go(event),
      onPointerUp: () => (dragging.current = false),
    }),
  );
}

/**
 * @param {HTMLCanvasElement} target
 * @param {Slice[]} slices
 * @param {number} total
 * @param {number} from
 * @param {number} to
 * @param {number[]} hits
 */
function draw(target, slices, total, from, to, hits) {
  const ratio = devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = target;
  target.width = width * ratio;
  target.height = height * ratio;
  const ctx = target.getContext("2d");
  if (!ctx || !total) return;
  ctx.scale(ratio, ratio);
  const y = (/** @type {number} */ position) => (position / total) * height;
  const roomy = width >= ROOMY;
  const most = Math.max(1, ...slices.map((slice) => slice.count));
  ctx.fillStyle = token("--edge");
  ctx.globalAlpha = 0.45;
  // Slices have equal durations; the width is the number of lines.
  for (const slice of slices) {
    const top = y(slice.position);
    const tall = Math.max(1, y(slice.position + slice.count) - top);
    ctx.fillRect(0, top, Math.max(2, (roomy ? 10 : 16) * Math.sqrt(slice.count / most)), Math.max(0.5, tall - 0.3));
  }
  ctx.globalAlpha = 1;
  if (roomy) drawTimes(ctx, slices, total, width, height);
  for (const [kind, color, length] of /** @type {["warn" | "bad", string, number][]} */ ([["warn", token("--warn"), 12], ["bad", token("--bad"), 24]])) {
    ctx.fillStyle = color;
    for (const slice of slices) {
      if (slice[kind]) ctx.fillRect(width - length, y(slice.position), length, Math.max(1.5, Math.min(4, y(slice.count))));
    }
  }
  ctx.fillStyle = token("--mark-bg");
  for (const hit of hits) ctx.fillRect(0, y(hit) - 0.5, roomy ? 14 : 8, 1.5);
  const box = Math.max(6, y(to) - y(from));
  const top = Math.min(height - box - 1, Math.max(1, y(from)));
  ctx.fillStyle = token("--accent");
  ctx.globalAlpha = 0.12;
  ctx.fillRect(0, top, width, box);
  ctx.globalAlpha = 1;
  ctx.strokeStyle = token("--accent");
  ctx.lineWidth = 1.5;
  ctx.strokeRect(1, top, width - 2, box);
}

/**
 * Labels with the time of a part: the date where it changes, else the time of day.
 * @param {CanvasRenderingContext2D} ctx @param {Slice[]} slices @param {number} total @param {number} width @param {number} height
 */
function drawTimes(ctx, slices, total, width, height) {
  if (!slices.length) return;
  const long = slices.length > 1 && slices[slices.length - 1].start - slices[0].start > DAY_MS;
  ctx.font = `10px ${token("--sans")}`;
  ctx.fillStyle = token("--muted");
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  let today = "";
  let said = "";
  let at = 0;
  for (let line = 10; line < height - 6; line += APART) {
    const position = (line / height) * total;
    while (at < slices.length - 1 && slices[at + 1].position <= position) at++;
    const { start } = slices[at];
    const text = long && day(start) !== today ? day(start).slice(5) : clock(start).slice(0, long ? 5 : 8);
    if (long) today = day(start);
    if (text !== said) ctx.fillText(text, width - 4, line);
    said = text;
  }
}
