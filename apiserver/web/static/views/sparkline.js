// A series in a cell of the table: mean, and band from minimum to maximum.
import { h } from "../vendor/preact.js";
import { curve } from "../chart/curve.js";
import { span } from "../ui/html.js";

const WIDTH = 108;
const HEIGHT = 24;

/** @param {{thumb: import("../core/thumbnails.js").Thumb, paint: string}} props */
export function Sparkline({ thumb, paint }) {
  const paths = curve(thumb, paint, WIDTH, HEIGHT);
  return span(
    { class: "spark", role: "img", "aria-label": thumb.label, title: thumb.label },
    h("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, width: WIDTH, height: HEIGHT, "aria-hidden": "true" }, paths),
  );
}
