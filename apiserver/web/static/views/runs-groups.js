// Runs grouped by up to three keys: a row per group with count, mean and standard deviation of the shown numbers.
import { useEffect, useState } from "../vendor/hooks.js";
import { column } from "../query/columns.js";
import { quote, quoteName } from "../query/language.js";
import { integer, number } from "../core/format.js";
import { meanAndDeviation } from "../core/numbers.js";
import { hiddenRuns } from "../core/picks.js";
import { button, div, fragment, input, label, span, table, tbody, td, th, thead, tr, use } from "../ui/html.js";
import { useCall, usePaced, usePolling, useSignal } from "../ui/hooks.js";
import { icon } from "../ui/icons.js";
import { Menu } from "../ui/menu.js";
import { statusWord } from "../ui/status.js";
import { toast } from "../ui/toast.js";
import { Problem } from "../ui/problem.js";

const MOST_RUNS = 10_000;
const MOST_KEYS = 3;
/** Intervals for reading changes, and for reading everything. */
const CHANGES_MS = 2_000;
const WHOLE_MS = 60_000;

/** @typedef {import("../query/columns.js").Run} Run */
/** @typedef {import("../query/compile.js").Vocabulary} Vocabulary */

/** @param {{group: string[], names: Vocabulary, onChange: (keys: string[]) => void}} props */
export function GroupMenu({ group, names, onChange }) {
  const keys = ["status", "project", "user", "type", ...names.parameters.map((one) => `hp:${one.section}/${one.name}`)];
  return use(Menu, {
    label: fragment(icon("group"), span({ class: "wide-only" }, group.length ? `Group: ${group.length}` : "Group")),
    title: "Group",
    class: group.length ? "button on" : "button",
    children: () =>
      div(
        { class: "columns", role: "group", "aria-label": "Group by" },
        keys.map((key) =>
          label(
            { key },
            input({
              type: "checkbox",
              checked: group.includes(key),
              disabled: !group.includes(key) && group.length >= MOST_KEYS,
              onChange: () => onChange(group.includes(key) ? group.filter((one) => one !== key) : [...group, key]),
            }),
            span({ class: "truncate" }, column(key, names)?.title ?? key),
          ),
        ),
        span({ class: "muted" }, `Up to ${MOST_KEYS} keys`),
      ),
  });
}

/**
 * @param {{rows: import("./runs-data.js").Rows, group: string[], columns: import("../query/columns.js").Column[], names: Vocabulary, onOpen: (filter: string) => void}} props
 */
export function Groups({ rows, group, columns, names, onOpen }) {
  const keys = group.flatMap((id) => column(id, names) ?? []).slice(0, MOST_KEYS);
  const numbers = columns.filter((one) => one.numeric && one.value && !one.id.startsWith("hp:"));
  const all = useCall(() => {
    rows.fields = [...new Set([...rows.fields, "last_iteration", "last_change", ...keys.flatMap((one) => one.fields)])];
    return rows.all(MOST_RUNS);
  }, [rows, group.join(",")]);
  const [now, setNow] = useState(/** @type {Run[] | undefined} */ (undefined));
  useEffect(() => setNow(all.data), [all.data]);
  const follow = usePaced(async () => {
    const runs = now ?? all.data;
    if (!runs) return;
    const fresh = await rows.fresher(runs);
    setNow((old) => (old === now ? fresh : old)); // unless everything was read in the meantime
  }, CHANGES_MS);
  usePolling(follow, CHANGES_MS);
  usePolling(all.again, WHOLE_MS);
  const hidden = useSignal(hiddenRuns);
  const [charts, setCharts] = useState(/** @type {any} */ (null));
  const showCharts = () => import("./group-charts.js").then((module) => setCharts(() => module.default), (error) => toast(error.message, { bad: true }));
  if (all.error) return use(Problem, { error: all.error, again: all.again });
  if (!all.data) return div({ class: "runs-loading", "aria-busy": "true" });
  const groups = grouped(now ?? all.data, keys);
  const series = [...new Map(columns.flatMap((one) => (one.series ? [[JSON.stringify(one.series), one.series]] : []))).values()];
  const drawn = groups.map(({ values, runs }) => ({ values, runs: runs.filter((run) => !hidden.has(run.id)) })).filter(({ runs }) => runs.length > 0);
  const lines = drawn.map(({ values, runs }) => ({ name: values.map((value, at) => said(keys[at]?.id, value)).join(" · "), tasks: runs.map((run) => run.id), last: Math.max(0, ...runs.map((run) => run.last_iteration ?? 0)) }));
  return div(
    { class: "runs-scroll" },
    charts ? use(charts, { groups: lines, series }) : div({ class: "group-bar" }, button({ type: "button", class: "button", onClick: () => void showCharts() }, icon("chart"), "Charts of the groups")),
    table(
      { class: "runs groups", "aria-label": "Groups of runs" },
      thead(tr(...keys.map((one) => th({ key: one.id, scope: "col" }, span({ class: "head-text" }, one.title))), th({ scope: "col", class: "num" }, span({ class: "head-text" }, "Runs")), ...numbers.map((one) => th({ key: one.id, scope: "col", class: "num" }, span({ class: "head-text" }, one.title))))),
      tbody(
        groups.map(({ values, runs }) =>
          tr(
            { key: values.join("\n"), class: "row" },
            ...keys.map((one, index) =>
              td({ key: one.id }, index === 0 ? button({ type: "button", class: "link", onClick: () => onOpen(keys.map((key, at) => term(key.id, values[at] ?? "")).filter(Boolean).join(" ")) }, said(one.id, values[0])) : said(one.id, values[index])),
            ),
            td({ class: "num" }, integer(runs.length)),
            ...numbers.map((one) => td({ key: one.id, class: "num" }, spread(runs.map((run) => one.value?.(run))))),
          ),
        ),
      ),
    ),
  );
}

/** @param {Run[]} runs @param {import("../query/columns.js").Column[]} keys */
function grouped(runs, keys) {
  /** @type {Map<string, {values: string[], runs: Run[]}>} */
  const groups = new Map();
  for (const run of runs) {
    const values = keys.map((one) => String(one.text(run)));
    const key = values.join("\n");
    const found = groups.get(key);
    if (found) found.runs.push(run);
    else groups.set(key, { values, runs: [run] });
  }
  return [...groups.values()].sort((a, b) => b.runs.length - a.runs.length);
}

/** "0.2131 ± 0.004": mean and standard deviation of the finite values. @param {unknown[]} values */
function spread(values) {
  const finite = /** @type {number[]} */ (values.filter((one) => typeof one === "number" && Number.isFinite(one)));
  if (!finite.length) return "";
  const [mean, deviation] = meanAndDeviation(finite);
  if (finite.length < 2) return number(mean);
  return fragment(number(mean), span({ class: "muted" }, ` ± ${number(deviation, 2)}`));
}

/** A value as shown in the page. @param {string | undefined} key @param {string | undefined} value */
const said = (key, value) => (key === "status" && value ? statusWord(value) : value || "(none)");

/** The filter that shows one group. @param {string} id @param {string} value */
function term(id, value) {
  if (!value) return "";
  return `${quoteName(id)}:${quote(value)}`;
}
