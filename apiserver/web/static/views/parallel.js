// Parallel coordinates: an axis per parameter or value, a line per run.
import { h } from "../vendor/preact.js";
import { color, dashOf } from "../core/colors.js";
import { number } from "../core/format.js";
import { readNames, writeNames } from "../core/lists.js";
import { place, setParams } from "../core/url.js";
import { div, fragment, h2, input, label, p, span, use } from "../ui/html.js";
import { useSignal } from "../ui/hooks.js";
import { Menu } from "../ui/menu.js";

/** @typedef {import("./compare.js").Compared} Compared */
/** @typedef {import("./compare-values.js").Row} Row */

const WIDTH = 960;
const HEIGHT = 300;
const SIDE = 70;
const TOP = 44;
const BOTTOM = 24;
const MOST_AXES = 10;
const USUAL_PARAMETERS = 4;
/** Axes of positive values are logarithmic from this ratio on. */
const LOG_FROM = 50;

/** @param {{runs: Compared[], parameters: Row[], values: Row[]}} props */
export function Parallel({ runs, parameters, values }) {
  const { params } = useSignal(place);
  const chosen = params.get("axes");
  const varying = (/** @type {Row[]} */ rows) => rows.filter((row) => new Set(row.values.filter((value) => value !== null)).size > 1);
  const all = [...varying(parameters), ...varying(values)];
  if (all.length < 2) return null;
  const usual = [...varying(parameters).slice(0, USUAL_PARAMETERS), ...varying(values).slice(0, 1)];
  const names = chosen ? readNames(chosen) : (usual.length > 1 ? usual : all.slice(0, 3)).map((row) => row.name);
  const axes = all.filter((row) => names.includes(row.name)).slice(0, MOST_AXES).map(axisOf);
  const x = (/** @type {number} */ at) => (axes.length < 2 ? WIDTH / 2 : SIDE + (at * (WIDTH - 2 * SIDE)) / (axes.length - 1));
  const shown = runs.flatMap((run, index) => (run.hidden ? [] : [{ run, index }]));
  return fragment(
    div(
      { class: "compare-search" },
      h2("Parallel coordinates"),
      use(Menu, {
        label: "Axes",
        align: "left",
        children: () =>
          div(
            { class: "columns", role: "group", "aria-label": "Axes" },
            all.map((row) =>
              label(
                { key: row.name },
                input({ type: "checkbox", checked: names.includes(row.name), disabled: !names.includes(row.name) && names.length >= MOST_AXES, onChange: () => setParams({ axes: writeNames(names.includes(row.name) ? names.filter((one) => one !== row.name) : [...names, row.name]) }) }),
                span({ class: "truncate" }, row.name),
              ),
            ),
          ),
      }),
    ),
    axes.length < 2
      ? p({ class: "muted" }, "Choose two axes or more.")
      : div({ class: "svg-scroll", tabIndex: 0, role: "region", "aria-label": "Parallel coordinates" }, h(
          "svg",
          { class: "parallel", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${axes.map((axis) => axis.row.name).join(", ")} of ${shown.map(({ run }) => run.name).join(", ")}` },
          ...axes.map((axis, at) =>
            h(
              "g",
              { key: axis.row.name },
              h("line", { class: "grid", x1: x(at), x2: x(at), y1: TOP, y2: HEIGHT - BOTTOM }),
              h("text", { class: "axis", x: x(at), y: 16, "text-anchor": "middle" }, h("title", null, axis.row.name), short(axis.row.name, axes.length)),
              h("text", { x: x(at), y: TOP - 8, "text-anchor": "middle" }, number(axis.high)),
              h("text", { x: x(at), y: HEIGHT - 8, "text-anchor": "middle" }, `${number(axis.low)}${axis.log ? " (log)" : ""}`),
            ),
          ),
          ...shown.map(({ run, index }) =>
            h(
              "path",
              { key: run.id, d: path(axes.map((axis, at) => ({ x: x(at), y: axis.at(axis.row.values[index]) }))), fill: "none", style: { stroke: color(run.pick) }, "stroke-dasharray": dashOf(run.pick).join(" ") },
              h("title", null, `${run.name}\n${axes.map((axis) => `${axis.row.name}: ${number(axis.row.values[index])}`).join("\n")}`),
            ),
          ),
        )),
  );
}

/** @param {Row} row */
function axisOf(row) {
  const known = /** @type {number[]} */ (row.values.filter((value) => value !== null));
  const low = known.reduce((least, value) => Math.min(least, value), Infinity);
  const high = known.reduce((most, value) => Math.max(most, value), -Infinity);
  const log = low > 0 && high / low > LOG_FROM;
  const turn = log ? Math.log10 : (/** @type {number} */ value) => value / 2; // halves, because the difference itself may overflow
  const part = (/** @type {number} */ value) => (turn(value) - turn(low)) / (turn(high) - turn(low) || 1);
  return {
    row, low, high, log,
    /** @param {number | null} value @returns {number | null} px */
    at: (value) => (value === null ? null : HEIGHT - BOTTOM - part(value) * (HEIGHT - BOTTOM - TOP)),
  };
}

/** An SVG path with gaps for missing values. @param {{x: number, y: number | null}[]} points */
function path(points) {
  let d = "";
  let pen = "M";
  for (const { x, y } of points) {
    if (y === null) {
      pen = "M";
      continue;
    }
    d += `${pen}${x.toFixed(1)} ${y.toFixed(1)}`;
    pen = "L";
  }
  return d;
}

/** @param {string} name @param {number} axes */
function short(name, axes) {
  const most = Math.max(8, Math.floor(130 / axes));
  const last = name.length <= most ? name : name.split("/").slice(1).join("/") || name;
  return last.length > most ? `${last.slice(0, most - 1)}…` : last;
}
