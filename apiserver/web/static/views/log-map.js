// The map beside the log: how much was said where, where warnings, errors and hits are, what is on screen.
import { useEffect, useRef } from "../vendor/hooks.js";
import { theme, token } from "../core/theme.js";
import { canvas, div } from "../ui/html.js";
import { useSignal } from "../ui/hooks.js";

const WIDTH = 64;

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
      "aria-label": "Map of the log: volume, warnings and errors",
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
  const height = target.clientHeight;
  target.width = WIDTH * ratio;
  target.height = height * ratio;
  const ctx = target.getContext("2d");
  if (!ctx || !total) return;
  ctx.scale(ratio, ratio);
  const y = (/** @type {number} */ position) => (position / total) * height;
  const most = Math.max(1, ...slices.map((slice) => slice.count));
  ctx.fillStyle = token("--edge");
  ctx.globalAlpha = 0.35;
  for (const slice of slices) {
    const top = y(slice.position);
    const tall = Math.max(1, y(slice.position + slice.count) - top);
    ctx.fillRect(6, top, Math.max(3, (WIDTH - 12) * Math.sqrt(slice.count / most)), Math.max(0.5, tall - 0.3));
  }
  ctx.globalAlpha = 1;
  for (const [kind, color, width] of /** @type {["warn" | "bad", string, number][]} */ ([["warn", token("--warn"), 18], ["bad", token("--bad"), 30]])) {
    ctx.fillStyle = color;
    for (const slice of slices) {
      if (slice[kind]) ctx.fillRect(WIDTH - width - 3, y(slice.position), width, Math.max(1.5, Math.min(4, y(slice.count))));
    }
  }
  ctx.fillStyle = token("--mark-bg");
  for (const hit of hits) ctx.fillRect(0, y(hit) - 0.5, 5, 1.5);
  ctx.strokeStyle = token("--accent");
  ctx.lineWidth = 1.5;
  const box = Math.max(6, y(to) - y(from));
  ctx.strokeRect(1, Math.min(height - box - 1, Math.max(1, y(from))), WIDTH - 2, box);
}
