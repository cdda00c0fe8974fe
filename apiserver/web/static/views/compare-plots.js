// The same plot of several runs, side by side.
import { useMemo } from "../vendor/hooks.js";
import { call } from "../core/api.js";
import { loadPrefixes } from "../core/files.js";
import { plural } from "../core/format.js";
import { place, setParams } from "../core/url.js";
import { div, h2, label, option, p, select, span, use } from "../ui/html.js";
import { useCall, useSignal } from "../ui/hooks.js";
import { Problem } from "../ui/problem.js";
import { figureOf, Frame, PlotTable, tableOf } from "./figures.js";

/** @typedef {import("./compare.js").Compared} Compared */
/** @typedef {import("./figures.js").Figure} Figure */

/** @param {{runs: Compared[], revision: number}} props */
export default function ComparePlots({ runs, revision }) {
  const { params } = useSignal(place);
  const ids = runs.map((run) => run.id);
  const names = useCall(
    async (signal) => /** @type {{metric: string, variants: string[]}[]} */ ((await call("events.get_multi_task_metrics", { tasks: ids, event_type: "plot" }, { signal })).metrics),
    [ids.join(","), revision],
  );
  const all = (names.data ?? []).flatMap(({ metric, variants }) => (variants.length ? variants : [""]).map((variant) => ({ metric, variant, key: JSON.stringify([metric, variant]) })));
  const chosen = all.find((one) => one.key === params.get("plot")) ?? all[0];
  const found = useCall(
    (signal) => (chosen ? read(ids, chosen.metric, chosen.variant, signal) : null),
    [ids.join(","), chosen?.key, revision],
  );
  /** @type {Figure[]} */
  const figures = useMemo(
    () =>
      runs
        .filter((run) => !run.hidden)
        .flatMap((run) => {
          const figure = found.data?.get(run.id);
          return figure ? [{ ...figure, title: run.name || run.id }] : [];
        }),
    [found.data, runs.map((run) => `${run.id} ${run.hidden} ${run.name}`).join("\n")],
  );
  const tables = useMemo(() => figures.map((one) => ({ one, table: tableOf(one.text) })).filter((entry) => entry.table), [figures]);
  const drawn = useMemo(() => figures.filter((one) => !tables.some((entry) => entry.one === one)), [figures, tables]);
  if (names.error && !names.data) return use(Problem, { error: names.error, again: names.again });
  if (!names.data) return div({ class: "view-loading", "aria-busy": "true" });
  if (!all.length) return p({ class: "muted blank narrow-blank" }, "None of these runs reported plots.");
  const without = runs.filter((run) => !run.hidden && found.data && !found.data.has(run.id));
  return div(
    { class: "view compare-view" },
    div(
      { class: "compare-search" },
      h2("Plots"),
      label(
        span({ class: "muted" }, "plot "),
        select({ value: chosen?.key, onChange: (/** @type {any} */ event) => setParams({ plot: event.target.value }) }, all.map((one) => option({ key: one.key, value: one.key, selected: one.key === chosen?.key }, one.variant && one.variant !== one.metric ? `${one.metric} / ${one.variant}` : one.metric))),
      ),
      without.length > 0 && span({ class: "muted", title: without.map((run) => run.name).join("\n") }, `${plural(without.length, "run")} without this plot`),
    ),
    found.error && use(Problem, { error: found.error, again: found.again }),
    drawn.length > 0 && use(Frame, { figures: drawn, onStep: () => undefined }),
    tables.map(({ one, table }) => use(PlotTable, { key: one.id, one, content: table, onStep: () => undefined })),
  );
}

/**
 * The newest version of the plot of each run that has it.
 * @param {string[]} ids @param {string} metric @param {string} variant @param {AbortSignal} signal
 * @returns {Promise<Map<string, Figure>>}
 */
async function read(ids, metric, variant, signal) {
  await loadPrefixes();
  const answers = await Promise.all(
    ids.map((task) => call("events.get_task_plots", { task, iters: 1, metrics: [{ metric, variants: [variant] }] }, { signal })),
  );
  const found = new Map();
  for (const [at, { plots }] of answers.entries()) {
    const [plot] = plots;
    if (plot) found.set(ids[at], await figureOf(plot));
  }
  return found;
}
