// The plots of a run, each at its newest step or a chosen one.
import { useEffect, useMemo, useState } from "../vendor/hooks.js";
import { call } from "../core/api.js";
import { loadPrefixes } from "../core/files.js";
import { integer, plural } from "../core/format.js";
import { readEntries, writeEntries } from "../core/lists.js";
import { param, place, setParams } from "../core/url.js";
import { finder } from "../chart/find.js";
import { div, h2, input, p, span, use } from "../ui/html.js";
import { useCall, useKeys, useSignal } from "../ui/hooks.js";
import { Problem } from "../ui/problem.js";
import { toast } from "../ui/toast.js";
import { figureOf, Frame, PlotTable, tableOf } from "./figures.js";

/** @typedef {import("./figures.js").Figure} Figure */

/** @param {{id: string, revision: number}} props */
export default function Plots({ id, revision }) {
  const { params } = useSignal(place);
  const filter = params.get("m") ?? "";
  const [stepped, setStepped] = useState(/** @type {Map<string, Figure[]>} */ (new Map()));
  const stepText = params.get("steps") ?? "";
  const found = useCall(async (signal) => {
    await loadPrefixes();
    const { plots } = await call("events.get_task_plots", { task: id, iters: 1 }, { signal });
    const metrics = [...new Set(plots.map((/** @type {any} */ plot) => plot.metric))];
    const ranges = new Map(
      await Promise.all(
        metrics.slice(0, 40).map(async (metric) => {
          const sample = await call("events.get_plot_sample", { task: id, metric }, { signal });
          return /** @type {[string, any]} */ ([metric, { min: sample.min_iteration, max: sample.max_iteration }]);
        }),
      ),
    );
    return Promise.all(plots.map((/** @type {any} */ plot) => figureOf(plot, ranges.get(plot.metric))));
  }, [id, revision]);
  useKeys("Plots", [{ keys: "/", does: "find plot", run: () => /** @type {HTMLElement | null} */ (document.querySelector(".plot-find"))?.focus() }]);

  /** @type {Figure[]} */
  const all = found.data ?? [];
  const figures = useMemo(() => {
    const now = all.map((one) => stepped.get(one.metric)?.find((other) => other.variant === one.variant) ?? one);
    const fits = finder(filter);
    return now.filter((one) => fits(`${one.metric}/${one.variant}`));
  }, [all, stepped, filter]);
  const tables = useMemo(() => figures.map((one) => ({ one, table: tableOf(one.text) })).filter((entry) => entry.table), [figures]);
  const drawn = useMemo(() => figures.filter((one) => !tables.some((entry) => entry.one === one)), [figures, tables]);

  const complain = (/** @type {unknown} */ error) => toast(/** @type {Error} */ (error).message, { bad: true });
  /** @param {string} metric @param {any} sample of get_plot_sample */
  const take = async (metric, sample) => {
    if (!sample.events.length) return undefined;
    const one = all.find((other) => other.metric === metric);
    const range = { min: sample.min_iteration ?? one?.min, max: sample.max_iteration ?? one?.max };
    const next = await Promise.all(sample.events.map((/** @type {any} */ plot) => figureOf(plot, range)));
    setStepped((old) => new Map(old).set(metric, next));
    return /** @type {number} */ (next[0].iter);
  };
  // Plots whose step is in the URL.
  useEffect(() => {
    let gone = false;
    const wanted = readEntries(stepText);
    setStepped((old) => ([...old.keys()].every((metric) => wanted.has(metric)) ? old : new Map([...old].filter(([metric]) => wanted.has(metric)))));
    for (const [metric, [iteration]] of wanted) {
      if (stepped.get(metric)?.some((one) => one.iter === Number(iteration)) || !all.some((one) => one.metric === metric)) continue;
      call("events.get_plot_sample", { task: id, metric, iteration: Number(iteration) }).then((sample) => (gone ? undefined : take(metric, sample))).catch((error) => gone || complain(error));
    }
    return () => {
      gone = true;
    };
  }, [stepText, found.data]);
  const step = async (/** @type {string} */ figureId, /** @type {{direction?: string, iteration?: number}} */ { direction, iteration }) => {
    const one = figures.find((other) => other.id === figureId);
    if (!one) return;
    try {
      const sample =
        iteration !== undefined
          ? await call("events.get_plot_sample", { task: id, metric: one.metric, iteration })
          : await call("events.next_plot_sample", { task: id, scroll_id: (await call("events.get_plot_sample", { task: id, metric: one.metric, iteration: one.iter })).scroll_id, navigate_earlier: direction === "earlier", next_iteration: true });
      const shown = await take(one.metric, sample);
      if (shown === undefined) return;
      const entries = readEntries(param("steps")).set(one.metric, [String(shown)]);
      setParams({ steps: writeEntries([...entries].map(([metric, rest]) => [metric, ...rest])) });
    } catch (error) {
      complain(error);
    }
  };

  if (found.error && !found.data) return use(Problem, { error: found.error, again: found.again });
  if (!found.data) return div({ class: "view-loading", "aria-busy": "true" });
  return div(
    all.length > 0 &&
      div(
        { class: "view-bar" },
        input({ type: "search", class: "plot-find", placeholder: "Find plot", "aria-label": "Find plot", value: filter, onInput: (/** @type {any} */ event) => setParams({ m: event.target.value }) }),
        span({ class: "muted" }, filter ? `${integer(figures.length)} of ${plural(all.length, "plot")}` : plural(all.length, "plot")),
      ),
    div(
      { class: "view wide" },
      !all.length && div({ class: "blank" }, h2("No plots"), p({ class: "muted" }, "Figures that the run reports (Plotly, matplotlib, confusion matrices, histograms) appear here.")),
      drawn.length > 0 && use(Frame, { figures: drawn, onStep: step }),
      tables.map(({ one, table: content }) => use(PlotTable, { key: one.id, one, content, onStep: step })),
    ),
  );
}
