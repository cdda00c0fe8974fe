// Last, smallest and largest values of every series and run; the best of a row is marked. Any two rows as a scatter plot.
import { useMemo, useState } from "../vendor/hooks.js";
import { h } from "../vendor/preact.js";
import { finder } from "../chart/find.js";
import { linearTicks } from "../chart/ticks.js";
import { call } from "../core/api.js";
import { color } from "../core/colors.js";
import { integer, number, plural } from "../core/format.js";
import { fitting, share } from "../core/numbers.js";
import { place, setParams } from "../core/url.js";
import { save } from "../core/save.js";
import { csv } from "../query/csv.js";
import { button, div, fragment, h2, input, label, option, p, select, span, table, tbody, td, th, thead, tr, use } from "../ui/html.js";
import { useCall, useSignal } from "../ui/hooks.js";
import { icon } from "../ui/icons.js";
import { Problem } from "../ui/problem.js";
import { Parallel } from "./parallel.js";

/** @typedef {import("./compare.js").Compared} Compared */
/** @typedef {{name: string, values: (number | null)[]}} Row */

/** @type {Record<string, string>} */
const STATISTICS = { last: "value", min: "min_value", max: "max_value", mean: "mean_value" };
/** Rows shown at first, and at most; options of a menu. The search finds the others. */
const SHOWN = 200;
const MOST_SHOWN = 5_000;
const MOST_CHOICES = 300;
/** Series whose smallest or largest value is the best, by their names; of others (learning rates, memory, norms of gradients) none is. */
const LESS_IS_BETTER = /loss|err|perplex|wer\b|cer\b|rmse|mse|mae|time|latency/i;
const MORE_IS_BETTER = /acc|auc|\bf1|\bmap\b|precision|recall|score|reward|return|bleu|rouge|iou|dice|psnr|ssim|\br2\b|throughput|per.?s(ec|\b)/i;

/** @param {{runs: Compared[], revision: number}} props */
export default function CompareValues({ runs, revision }) {
  const { params } = useSignal(place);
  const ids = runs.map((run) => run.id);
  const statistic = STATISTICS[params.get("stat") ?? ""] ? (params.get("stat") ?? "last") : "last";
  const found = useCall(async (signal) => {
    const { tasks } = await call("tasks.get_all_ex", { id: ids, only_fields: ["last_metrics", "hyperparams"] }, { signal });
    return new Map(/** @type {any[]} */ (tasks).map((task) => [task.id, task]));
  }, [ids.join(","), revision]);
  const tasks = useMemo(() => ids.map((id) => found.data?.get(id) ?? {}), [found.data, ids.join(",")]);
  const rows = useMemo(() => seriesRows(tasks, STATISTICS[statistic] ?? "value"), [tasks, statistic]);
  const parameters = useMemo(() => parameterRows(tasks), [tasks]);
  const filter = params.get("m") ?? "";
  const fits = useMemo(() => finder(filter), [filter]);
  const [all, setAll] = useState(false);
  const matching = useMemo(() => rows.filter((row) => fits(row.name)), [rows, fits]);
  if (found.error && !found.data) return use(Problem, { error: found.error, again: found.again });
  if (!found.data) return div({ class: "view-loading", "aria-busy": "true" });
  if (!rows.length) return p({ class: "muted blank narrow-blank" }, "None of these runs reported scalars.");
  return div(
    { class: "view compare-view" },
    div(
      { class: "compare-search" },
      h2("Values"),
      input({ type: "search", class: "compare-find", placeholder: "Find series", "aria-label": "Find series", value: filter, onInput: (/** @type {any} */ event) => setParams({ m: event.target.value }) }),
      span({ class: "muted" }, filter ? `${integer(matching.length)} of ${plural(rows.length, "series", "series")}` : plural(rows.length, "series", "series")),
      div(
        { class: "segments", role: "group", "aria-label": "Statistic" },
        Object.keys(STATISTICS).map((one) => button({ key: one, type: "button", "aria-pressed": one === statistic ? "true" : "false", onClick: () => setParams({ stat: one === "last" ? "" : one }) }, one)),
      ),
      button({ type: "button", class: "button", onClick: () => save("values.csv", csv(["series", ...runs.map((run) => run.name)], rows.map((row) => [row.name, ...row.values]))) }, icon("download"), "CSV"),
    ),
    div(
      { class: "table-scroll" },
      table(
        { class: "plain compare-table" },
        thead(tr(th({ scope: "col" }, "Series"), ...runs.map((run) => th({ key: run.id, scope: "col", class: "num" }, span({ class: "dot", style: { background: color(run.pick) } }), " ", run.name)))),
        tbody(
          matching.slice(0, all ? MOST_SHOWN : SHOWN).map((row) => {
            const best = bestOf(row);
            return tr(
              { key: row.name },
              th({ scope: "row" }, row.name),
              ...row.values.map((value, index) => td({ key: ids[index], class: value !== null && value === best ? "num best" : "num", title: value === null ? "" : String(value) }, number(value), value !== null && value === best && span({ class: "visually-hidden" }, " (best)"))),
            );
          }),
        ),
      ),
    ),
    !all && matching.length > SHOWN && p(button({ type: "button", class: "link", onClick: () => setAll(true) }, `Show all ${integer(Math.min(matching.length, MOST_SHOWN))}`)),
    p({ class: "muted" }, "Green is the best: the smallest value of losses and errors, the largest of accuracies and scores, as far as names tell."),
    use(Scatter, { runs, rows: [...parameters, ...matching].slice(0, MOST_CHOICES) }),
    use(Parallel, { runs, parameters, values: matching.slice(0, MOST_CHOICES) }),
  );
}

/** @param {any[]} tasks @param {string} field @returns {Row[]} */
function seriesRows(tasks, field) {
  /** @type {Map<string, Row>} */
  const rows = new Map();
  tasks.forEach((task, index) => {
    for (const metric of Object.values(/** @type {Record<string, any>} */ (task.last_metrics ?? {}))) {
      for (const one of Object.values(/** @type {Record<string, any>} */ (metric))) {
        const name = `${one.metric}/${one.variant}`;
        let row = rows.get(name);
        if (!row) rows.set(name, (row = { name, values: tasks.map(() => null) }));
        row.values[index] = typeof one[field] === "number" ? one[field] : null;
      }
    }
  });
  return [...rows.values()].sort((a, b) => a.name.localeCompare(b.name));
}

/** Parameters that are numbers. @param {any[]} tasks @returns {Row[]} */
function parameterRows(tasks) {
  /** @type {Map<string, Row>} */
  const rows = new Map();
  tasks.forEach((task, index) => {
    for (const [section, parameters] of Object.entries(/** @type {Record<string, any>} */ (task.hyperparams ?? {}))) {
      for (const [name, one] of Object.entries(/** @type {Record<string, any>} */ (parameters))) {
        const value = Number(one.value);
        if (one.value === "" || one.value === null || !Number.isFinite(value)) continue;
        const key = `${section}/${name}`;
        let row = rows.get(key);
        if (!row) rows.set(key, (row = { name: key, values: tasks.map(() => null) }));
        row.values[index] = value;
      }
    }
  });
  return [...rows.values()].sort((a, b) => Number(new Set(b.values).size > 1) - Number(new Set(a.values).size > 1) || a.name.localeCompare(b.name));
}

/** @param {Row} row */
function bestOf(row) {
  const finite = /** @type {number[]} */ (row.values.filter((value) => value !== null && Number.isFinite(value)));
  if (new Set(finite).size < 2) return null;
  if (LESS_IS_BETTER.test(row.name)) return Math.min(...finite);
  return MORE_IS_BETTER.test(row.name) ? Math.max(...finite) : null;
}

const WIDTH = 620;
const HEIGHT = 320;
const LEFT = 64;
const BOTTOM = 40;

/** @param {{runs: Compared[], rows: Row[]}} props */
function Scatter({ runs, rows }) {
  const { params } = useSignal(place);
  const [xName, yName] = [params.get("sx"), params.get("sy")];
  const varying = rows.filter((row) => new Set(row.values.filter((value) => value !== null)).size > 1);
  const x = rows.find((row) => row.name === xName) ?? varying[0] ?? rows[0];
  const y = rows.find((row) => row.name === yName) ?? varying.find((row) => row !== x && LESS_IS_BETTER.test(row.name)) ?? varying.find((row) => row !== x) ?? rows[1];
  if (!x || !y) return null;
  const points = runs.flatMap((run, index) => {
    const [px, py] = [x.values[index], y.values[index]];
    return px === null || px === undefined || py === null || py === undefined || run.hidden ? [] : [{ run, px, py }];
  });
  const log = points.length > 1 && points.every((one) => one.px > 0) && Math.max(...points.map((one) => one.px)) / Math.min(...points.map((one) => one.px)) > 50;
  const toX = scale(points.map((one) => one.px), LEFT, WIDTH - 16, log);
  const toY = scale(points.map((one) => one.py), HEIGHT - BOTTOM, 32, false);
  const choose = (/** @type {string} */ name, /** @type {Row} */ chosen) =>
    label(span({ class: "muted" }, `${name} `), select({ value: chosen.name, onChange: (/** @type {any} */ event) => setParams({ [`s${name}`]: event.target.value }) }, rows.map((row) => option({ key: row.name, value: row.name, selected: row === chosen }, row.name))));
  return fragment(
    div({ class: "compare-search" }, h2("Scatter"), choose("x", x), choose("y", y), log && span({ class: "muted" }, "x is logarithmic")),
    points.length
      ? div({ class: "svg-scroll", tabIndex: 0, role: "region", "aria-label": "Scatter plot" }, h(
          "svg",
          { class: "scatter", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${y.name} over ${x.name}: ${points.map((one) => `${one.run.name} ${number(one.px)}, ${number(one.py)}`).join("; ")}` },
          ...toY.ticks.map((tick) => h("g", { key: `y${tick}` }, h("line", { class: "grid", x1: LEFT, x2: WIDTH - 16, y1: toY.at(tick), y2: toY.at(tick) }), h("text", { x: LEFT - 8, y: toY.at(tick) + 4, "text-anchor": "end" }, number(tick, 3)))),
          ...toX.ticks.map((tick) => h("text", { key: `x${tick}`, x: toX.at(tick), y: HEIGHT - BOTTOM + 18, "text-anchor": "middle" }, number(tick, 3))),
          h("text", { class: "axis", x: 8, y: 18 }, y.name),
          h("text", { class: "axis", x: (LEFT + WIDTH) / 2, y: HEIGHT - 6, "text-anchor": "middle" }, x.name),
          ...points.map(({ run, px, py }) => h("circle", { key: run.id, cx: toX.at(px), cy: toY.at(py), r: 6, style: { fill: color(run.pick) } }, h("title", null, `${run.name}: ${number(px)}, ${number(py)}`))),
        ))
      : p({ class: "muted" }, "No run has both values."),
  );
}

/**
 * @param {number[]} values
 * @param {number} from px
 * @param {number} to px
 * @param {boolean} log
 */
function scale(values, from, to, log) {
  const turn = log ? Math.log10 : (/** @type {number} */ value) => value;
  let low = turn(Math.min(...values));
  let high = turn(Math.max(...values));
  if (!(high > low)) [low, high] = [fitting(low - Math.max(1e-9, Math.abs(low) * 0.1)), fitting(high + Math.max(1e-9, Math.abs(high) * 0.1))];
  const margin = (high - low) * 0.06;
  if (Number.isFinite(high + margin - low)) [low, high] = [low - margin, high + margin];
  const at = (/** @type {number} */ value) => from + share(turn(value), low, high) * (to - from);
  const ticks = log ? [...new Set(values)].sort((a, b) => a - b).filter((_, index, all) => all.length < 8 || index % Math.ceil(all.length / 8) === 0) : linearTicks(low, high, 6).ticks;
  return { at, ticks };
}
