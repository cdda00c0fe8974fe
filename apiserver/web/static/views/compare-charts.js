// Overlays: one card per series, one line per run, all with one axis, zoom and cursor.
import { useEffect, useMemo } from "../vendor/hooks.js";
import { call } from "../core/api.js";
import { ms, plural } from "../core/format.js";
import { param, setParams } from "../core/url.js";
import { ChartBar } from "../chart/bar.js";
import { Card } from "../chart/card.js";
import { openMenu, useCardGoal, useChartCursor, useFull } from "../chart/card-state.js";
import { filtered } from "../chart/find.js";
import { VirtualGrid, layout } from "../chart/grid.js";
import { NAMES_MS, UPDATE_MS, useChartSettings } from "../chart/settings.js";
import { SeriesSource } from "../chart/source.js";
import { div, h2, input, p, span, use } from "../ui/html.js";
import { useCall, useKeys, usePaced, useThrottled } from "../ui/hooks.js";
import { Problem } from "../ui/problem.js";

/** @typedef {import("./compare.js").Compared} Compared */
/** @typedef {import("../chart/grid.js").CardSpec} CardSpec */

/** @type {import("../chart/settings.js").Sizes} */
const SIZES = { S: { height: 260, columns: 3 }, M: { height: 330, columns: 2 }, L: { height: 440, columns: 1 } };
const SIDE = 250;

/** @param {{runs: Compared[], revision: number}} props */
export default function CompareCharts({ runs, revision }) {
  const ids = runs.map((run) => run.id).join(",");
  const source = useMemo(() => new SeriesSource(), []);
  const { cursor, cards: cursorOfCards, drop } = useChartCursor();
  const [full, setFull] = useFull();
  const names = useCall(
    async (abort) => {
      const tasks = ids.split(",");
      const [all, charted] = await Promise.all([
        call("events.get_multi_task_metrics", { tasks, event_type: "training_stats_scalar" }, { signal: abort }),
        call("events.get_task_metrics", { tasks, event_type: "training_stats_scalar" }, { signal: abort }),
      ]);
      // Single values are no curves; they are in the tab Values.
      const curves = new Set(charted.metrics.flatMap((/** @type {{metrics: string[]}} */ one) => one.metrics));
      return /** @type {{metric: string, variants: string[]}[]} */ (all.metrics).filter((one) => curves.has(one.metric));
    },
    [ids, useThrottled(revision, NAMES_MS)],
  );
  const [goal] = useCardGoal(Boolean(names.data));
  const update = usePaced(() => source.update(), UPDATE_MS);
  useEffect(() => {
    if (revision) update();
  }, [revision]);

  const { look, range, filter, height, columns, setRange, back, bar, keys } = useChartSettings(SIZES, SIDE, (axis) => extent(runs, axis));
  const visible = runs.filter((run) => !run.hidden);
  const shape = visible.map((run) => `${run.id} ${run.pick} ${run.name}`).join("\n");
  const all = useMemo(() => cardsOf(names.data ?? [], visible, runs), [names.data, shape]);
  const cards = useMemo(() => filtered(all, filter), [all, filter]);
  const rows = useMemo(() => layout(cards, new Set(), columns, height), [cards, columns, height]);
  const pick = (/** @type {{task: string}} */ { task }, /** @type {boolean} */ hide) => {
    const off = runs.filter((run) => run.hidden || run.id === task).map((run) => run.id);
    if (hide) setParams({ hide: off.length < runs.length ? off.join(",") : "", solo: "" });
    else setParams({ solo: param("solo") === task ? "" : task });
  };
  const pickAtCursor = (/** @type {boolean} */ hide) => {
    if (cursor.value?.key) pick({ task: JSON.parse(cursor.value.key)[0] }, hide);
    else if (!hide) setParams({ solo: "" });
  };
  useKeys("Charts", [
    ...keys(() => cursor.value?.x),
    { keys: "h", does: "hide the run at the cursor", run: () => pickAtCursor(true) },
    { keys: "e", does: "only the run at the cursor, or all", run: () => pickAtCursor(false) },
    { keys: "d", does: "menu of the card, with downloads", run: () => openMenu() },
    { keys: "/", does: "find series", run: () => /** @type {HTMLElement | null} */ (document.querySelector(".compare-find"))?.focus() },
    { keys: "Escape", does: "one level back", run: () => (full ? setFull("") : cursor.value ? drop() : range && back()) },
  ]);
  const card = (/** @type {CardSpec} */ spec, large = false) =>
    use(Card, {
      key: spec.id, id: spec.id, title: spec.title, wanted: spec.wanted, source, look, ...cursorOfCards, label: spec.label, onLine: pick,
      onRange: setRange, onBack: back, onFull: () => setFull(large ? "" : spec.id), full: large, file: "compare",
    });
  const large = full && cards.find((one) => one.id === full);
  return div(
    h2({ class: "visually-hidden" }, "Charts"),
    use(ChartBar, bar),
    names.error && use(Problem, { error: names.error, again: names.again }),
    div(
      { class: "compare-search" },
      input({ class: "compare-find", type: "search", placeholder: "Find series", "aria-label": "Find series (regular expression)", value: filter, onInput: (/** @type {any} */ event) => setParams({ m: event.target.value }) }),
      span({ class: "muted" }, plural(cards.length, "chart")),
    ),
    names.data && !names.data.length && p({ class: "blank muted narrow-blank" }, "None of these runs reported scalars."),
    div({ class: "compare-grid" }, use(VirtualGrid, { rows, columns, height, render: (/** @type {CardSpec} */ spec) => card(spec), goal })),
    large && div({ class: "chart-overlay", role: "dialog", "aria-label": large.title }, card(large, true)),
  );
}

/**
 * A card per series, also for series of a single run.
 * @param {{metric: string, variants: string[]}[]} metrics
 * @param {Compared[]} runs that are shown
 * @param {Compared[]} all of them: a line of one that was just hidden keeps its name until it is gone
 * @returns {CardSpec[]}
 */
function cardsOf(metrics, runs, all) {
  const byId = new Map(all.map((run) => [run.id, run]));
  const label = (/** @type {import("../chart/source.js").Loaded} */ one) => ({ name: byId.get(one.task)?.name ?? one.task, pick: byId.get(one.task)?.pick ?? 32 });
  return metrics.flatMap(({ metric, variants }) =>
    variants.map((variant) => ({
      id: JSON.stringify([metric, variant]),
      title: variant && variant !== metric ? `${metric} / ${variant}` : metric,
      group: metric.includes("/") ? metric.slice(0, metric.indexOf("/")) : "",
      variants: runs.map((run) => run.id),
      wanted: runs.map((run) => ({ task: run.id, metric, variants: [variant] })),
      label,
    })),
  );
}

/** @param {Compared[]} runs @param {string} axis @returns {[number, number]} */
function extent(runs, axis) {
  if (axis === "step") return [0, Math.max(1, ...runs.map((run) => run.last_iteration ?? 1))];
  const from = Math.min(...runs.map((run) => ms(run.started) || Date.now()));
  const to = Math.max(from + 1000, ...runs.map((run) => ms(run.last_update) || from));
  return axis === "wall" ? [from, to] : [0, Math.max(1000, ...runs.map((run) => (ms(run.last_update) || 0) - (ms(run.started) || 0)))];
}
