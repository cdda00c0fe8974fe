// The overview of a run: single values; last, min and max of every series; facts; what was reported when.
import { useMemo, useState } from "../vendor/hooks.js";
import { call } from "../core/api.js";
import { ago, bytes, duration, exact, integer, ms, number, plural, stampWithZone } from "../core/format.js";
import { address, place, setParams } from "../core/url.js";
import { finder } from "../chart/find.js";
import { b, button, dd, div, dl, dt, h2, input, p, section, span, table, tbody, td, th, thead, tr, use } from "../chart/elements.js";
import { useCall, useSignal } from "../ui/hooks.js";
import { link } from "../ui/link.js";
import { statusWord } from "../ui/status.js";
import { Problem } from "../ui/problem.js";

const NO_ITERATION = -2147483648;
const SHOWN = 200;

/** @type {Record<string, string>} */
export const TYPES = {
  training_stats_scalar: "Scalars",
  training_stats_vector: "Vectors",
  training_debug_image: "Images",
  plot: "Plots",
  log: "Log lines",
};

/** @param {{id: string, run: any, revision: number}} props */
export default function Overview({ id, run, revision }) {
  const found = useCall(
    async (signal) => {
      const [{ tasks }, storage] = await Promise.all([
        call("tasks.get_by_id_ex", { id: [id], only_fields: ["last_metrics", "models", "runtime"] }, { signal }),
        call("events.get_task_storage", { task: id }, { signal }),
      ]);
      return { task: tasks[0] ?? {}, storage };
    },
    [id, revision],
  );
  const { params } = useSignal(place);
  const search = params.get("m") ?? "";
  const [all, setAll] = useState(false);
  const rows = useMemo(() => metricsOf(found.data?.task.last_metrics), [found.data]);
  if (found.error && !found.data) return use(Problem, { error: found.error, again: found.again });
  if (!found.data) return div({ class: "view-loading", "aria-busy": "true" });
  const { task, storage } = found.data;
  const singles = rows.filter((row) => row.iter === NO_ITERATION);
  const series = rows.filter((row) => row.iter !== NO_ITERATION);
  const fits = finder(search);
  const matching = series.filter((row) => fits(`${row.metric}/${row.variant}`));
  const shown = all ? matching : matching.slice(0, SHOWN);
  const started = ms(run.started);
  const last = ms(run.last_update);
  const ended = run.status === "in_progress" ? last : ms(run.completed) || last;
  const out = task.models?.output ?? [];
  return div(
    { class: "view" },
    singles.length > 0 &&
      section(
        h2("Single values"),
        div(
          { class: "values" },
          singles.map((row) =>
            div(
              { class: "value-card", key: row.key },
              div({ class: "muted truncate", title: `${row.metric} / ${row.variant}` }, row.metric === "Summary" ? row.variant : `${row.metric} / ${row.variant}`),
              b({ title: exact(row.value) }, number(row.value, 5)),
            ),
          ),
        ),
      ),
    section(
      h2("Run"),
      dl(
        { class: "facts" },
        fact("Status", run.status_message || run.status_reason ? `${statusWord(run.status)}: ${run.status_message || run.status_reason}` : statusWord(run.status)),
        fact("Started", Number.isNaN(started) ? "" : `${ago(started)}`, stampWithZone(started)),
        fact("Took", duration(Math.max(0, ended - started))),
        fact("Last report", Number.isNaN(last) ? "" : ago(last), stampWithZone(last)),
        fact("Last iteration", integer(run.last_iteration)),
        fact("Progress", progress(task.runtime?.progress)),
        fact("Tags", (run.tags ?? []).join(", ")),
        fact("User", run.user?.name),
        fact("Machine", run.last_worker),
        fact("Project", run.project?.name && link({ href: address("/", { project: run.project.name }) }, run.project.name)),
        fact("Parent", run.parent?.id && link({ href: `/runs/${encodeURIComponent(run.parent.id)}` }, run.parent.name || run.parent.id)),
        fact("Output models", out.length ? link({ href: "?tab=artifacts" }, plural(out.length, "model")) : ""),
        fact("Comment", run.comment),
        fact("Id", run.id),
      ),
    ),
    section(
      h2("Reported", span({ class: "muted" }, `${plural(storage.count, "event")}, ${bytes(storage.bytes)}`)),
      storage.types.length
        ? div(
            { class: "table-scroll" },
            table(
              { class: "plain" },
              thead(tr(th("Type"), th({ class: "num" }, "Events"), th({ class: "num" }, "Size"), th({ class: "no-wrap" }, "First"), th("Last"))),
              tbody(
                storage.types.map((/** @type {any} */ one) =>
                  tr({ key: one.type }, td(TYPES[one.type] ?? one.type), td({ class: "num" }, integer(one.count)), td({ class: "num" }, bytes(one.bytes)), td({ class: "no-wrap", title: stampWithZone(one.oldest) }, ago(one.oldest)), td({ class: "no-wrap", title: stampWithZone(one.newest) }, ago(one.newest))),
                ),
              ),
            ),
          )
        : p({ class: "muted" }, "No events yet."),
    ),
    series.length > 0 &&
      section(
        div(
          { class: "section-head" },
          h2("Series", span({ class: "muted" }, integer(series.length))),
          series.length > 8 && input({ type: "search", placeholder: "Find", "aria-label": "Find series", value: search, onInput: (/** @type {any} */ event) => setParams({ m: event.target.value }) }),
        ),
        div(
          { class: "table-scroll" },
          table(
            { class: "plain" },
            thead(tr(th("Metric"), th("Variant"), th({ class: "num" }, "Last"), th({ class: "num" }, "at"), th({ class: "num" }, "Min"), th({ class: "num" }, "at"), th({ class: "num" }, "Max"), th({ class: "num" }, "at"), th({ class: "num" }, "Mean"), th({ class: "num" }, "Points"))),
            tbody(
              shown.map((row) =>
                tr(
                  { key: row.key },
                  td({ class: "wrap-anywhere" }, row.metric), td({ class: "wrap-anywhere" }, row.variant),
                  cell(row.value), step(row.iter), cell(row.min_value), step(row.min_value_iteration), cell(row.max_value), step(row.max_value_iteration),
                  cell(row.mean_value), td({ class: "num" }, integer(row.count)),
                ),
              ),
            ),
          ),
        ),
        matching.length > shown.length && p(button({ type: "button", class: "link", onClick: () => setAll(true) }, `Show all ${integer(matching.length)}`)),
        !matching.length && p({ class: "muted" }, `No series matches ${search}.`),
      ),
  );
}

/** What a training said of itself, in percent. @param {unknown} said */
const progress = (said) => (said === undefined || said === null || said === "" || !Number.isFinite(Number(said)) ? "" : `${number(Number(said))} %`);

/** @param {any} last_metrics */
function metricsOf(last_metrics) {
  const rows = Object.values(last_metrics ?? {}).flatMap((variants) => Object.values(/** @type {any} */ (variants)));
  for (const row of rows) row.key = JSON.stringify([row.metric, row.variant]);
  return rows.sort((x, y) => (x.key < y.key ? -1 : 1));
}

/** @param {string} name @param {any} value @param {string} [title] */
const fact = (name, value, title) => (value ? div({ key: name }, dt(name), dd({ title }, value)) : null);

/** @param {number | null | undefined} value */
const cell = (value) => td({ class: "num", title: exact(value) }, value === null ? "NaN" : number(value));

/** @param {number | null | undefined} value */
const step = (value) => td({ class: "num muted" }, value === NO_ITERATION ? "" : integer(value));
