// A series in 108 × 24 pixels: mean, and band from minimum to maximum. A canvas, so that 200 of them scroll smoothly.
import { useLayoutEffect, useRef } from "../vendor/hooks.js";
import { canvas } from "../ui/html.js";

const WIDTH = 108;
const HEIGHT = 24;
const NONE = 255;

/**
 * @param {{thumb: {min: ArrayLike<number>, mean: ArrayLike<number>, max: ArrayLike<number>, label: string}, stroke: string, fill: string}} props
 */
export function Sparkline({ thumb, stroke, fill }) {
  const element = useRef(/** @type {HTMLCanvasElement | null} */ (null));
  useLayoutEffect(() => {
    if (element.current) draw(element.current, thumb, stroke, fill);
  }, [thumb, stroke, fill]);
  return canvas({ ref: element, class: "spark", role: "img", "aria-label": thumb.label, title: thumb.label });
}

/**
 * @param {HTMLCanvasElement} target
 * @param {{min: ArrayLike<number>, mean: ArrayLike<number>, max: ArrayLike<number>}} thumb
 * @param {string} stroke
 * @param {string} fill
 */
function draw(target, { min, mean, max }, stroke, fill) {
  const ratio = devicePixelRatio || 1;
  target.width = WIDTH * ratio;
  target.height = HEIGHT * ratio;
  const pen = target.getContext("2d");
  if (!pen) return;
  pen.scale(ratio, ratio);
  const count = mean.length;
  const x = (/** @type {number} */ i) => (count < 2 ? WIDTH / 2 : 2 + (i * (WIDTH - 4)) / (count - 1));
  const y = (/** @type {number} */ level) => 2 + (1 - level / 254) * (HEIGHT - 4);
  // Draws runs of cells with values; gaps are not bridged.
  for (let from = 0; from < count; ) {
    if (mean[from] === NONE) {
      from += 1;
      continue;
    }
    let to = from;
    while (to < count && mean[to] !== NONE) to += 1;
    if (to - from === 1) {
      pen.fillStyle = stroke;
      pen.beginPath();
      pen.arc(x(from), y(mean[from] ?? 0), 1.8, 0, 7);
      pen.fill();
    } else {
      pen.beginPath();
      for (let i = from; i < to; i++) pen.lineTo(x(i), y(max[i] ?? 0));
      for (let i = to - 1; i >= from; i--) pen.lineTo(x(i), y(min[i] ?? 0));
      pen.fillStyle = fill;
      pen.fill();
      pen.beginPath();
      for (let i = from; i < to; i++) pen.lineTo(x(i), y(mean[i] ?? 0));
      pen.strokeStyle = stroke;
      pen.lineWidth = 1.4;
      pen.lineJoin = "round";
      pen.stroke();
    }
    from = to;
  }
}
