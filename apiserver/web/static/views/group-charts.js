// Charts of groups of runs: the mean of a group, and a band from the smallest to the largest value of any run.
import { useEffect, useMemo } from "../vendor/hooks.js";
import { plural } from "../core/format.js";
import { loadStyle } from "../core/style.js";
import { place } from "../core/url.js";
import { ChartBar } from "../chart/bar.js";
import { Card } from "../chart/card.js";
import { useChartCursor } from "../chart/card-state.js";
import { GroupSource } from "../chart/group-source.js";
import { useChartSettings } from "../chart/settings.js";
import { div, h2, p, use } from "../ui/html.js";
import { useKeys, usePaced, useSignal } from "../ui/hooks.js";
import { useLiveRuns } from "./run-live.js";

await loadStyle("chart");

/** Most runs that are watched for new points, and the least ms between updates of the means. */
const MOST_WATCHED = 500;
const UPDATE_MS = 1_000;
const NO_RUNS = /** @type {any[]} */ ([]);
const ignore = () => undefined;
const MOST_CARDS = 8;
const MOST_GROUPS = 12;
/** Most series of an answer, and tasks of a group. */
const MOST_SERIES = 5_000;
const MOST_TASKS = 1_000;
/** @type {import("../chart/settings.js").Sizes} */
const SIZES = { S: { height: 250, columns: 3 }, M: { height: 300, columns: 2 }, L: { height: 400, columns: 1 } };

/** @typedef {{metric: string, variant: string}} Series */

/** @param {{groups: {name: string, tasks: string[], last: number}[], series: Series[]}} props `last`: greatest iteration */
export default function GroupCharts({ groups, series }) {
  useSignal(place);
  const shown = groups.slice(0, MOST_GROUPS);
  const most = Math.min(MOST_TASKS, Math.floor(MOST_SERIES / Math.max(1, shown.length)));
  const shape = shown.map((one) => `${one.name}\t${one.tasks.join()}`).join("\n");
  const source = useMemo(() => new GroupSource(shown.map(({ name, tasks }) => ({ name, tasks: tasks.slice(0, most) }))), [shape]);
  const { cursor, cards: cursorOfCards, drop } = useChartCursor();
  useKeys("Charts", [{ keys: "Escape", does: "drop the cursor", run: drop, when: () => Boolean(cursor.value) }]);
  const { look, setRange, back, bar, height, columns } = useChartSettings(SIZES, 0, (axis) => (axis === "step" ? [0, Math.max(1, ...shown.map((one) => one.last))] : [0, 1]));
  const ids = useMemo(() => shown.flatMap(({ tasks }) => tasks.slice(0, most)).slice(0, MOST_WATCHED), [shape]);
  const { revisionOf } = useLiveRuns(ids, NO_RUNS, ignore);
  const revision = revisionOf(["training_stats_scalar"]);
  const update = usePaced(() => source.update(), UPDATE_MS);
  useEffect(() => {
    if (revision) update();
  }, [revision]);
  const label = useMemo(() => {
    const order = shown.map((one) => one.name);
    return (/** @type {import("../chart/source.js").Loaded} */ one) => ({ name: one.task, pick: order.indexOf(one.task) });
  }, [shape]);
  const banded = useMemo(() => ({ ...look, bands: true }), [look]);
  if (!series.length) return p({ class: "muted narrow-blank" }, "Add a curve or a statistic of a series as a column to see it as a chart of the groups.");
  const cut = groups.some((one) => one.tasks.length > most);
  return div(
    { class: "group-charts" },
    h2("Charts of the groups"),
    p(
      { class: "muted" },
      "The mean over the runs of a group, all runs with the same weight, and a band from the smallest to the largest value of any run.",
      groups.length > shown.length && ` The ${MOST_GROUPS} largest of ${plural(groups.length, "group")}.`,
      cut && ` At most ${plural(most, "run")} per group.`,
    ),
    use(ChartBar, bar),
    div(
      { class: "group-grid", style: { gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))`, gridAutoRows: `${height}px` } },
      series.slice(0, MOST_CARDS).map(({ metric, variant }) =>
        use(Card, { key: `${metric}\n${variant}`, id: `${metric}/${variant}`, title: variant && variant !== metric ? `${metric} / ${variant}` : metric, wanted: [{ task: "", metric, variants: [variant] }], label, source, look: banded, ...cursorOfCards, onRange: setRange, onBack: back, file: "groups" }),
      ),
    ),
  );
}
