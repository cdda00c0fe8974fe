// Parameters, code and configuration of the runs: differences first, the rest on request; texts as line diffs.
import { useMemo } from "../vendor/hooks.js";
import { call } from "../core/api.js";
import { color } from "../core/colors.js";
import { integer, plural } from "../core/format.js";
import { finder } from "../chart/find.js";
import { readNames, writeNames } from "../core/lists.js";
import { place, setParams } from "../core/url.js";
import { diffLines, hunks } from "../query/diff.js";
import { button, code, div, fragment, h2, input, label, option, p, section, select, span, table, tbody, td, th, thead, tr, use } from "../ui/html.js";
import { useCall, useSignal } from "../ui/hooks.js";
import { Problem } from "../ui/problem.js";

/** @typedef {import("./compare.js").Compared} Compared */
/** @typedef {{name: string, group: string, values: string[], differs: boolean}} Row */

const FIELDS = ["hyperparams", "configuration", "script", "container", "type"];
const LONG = 200;


/** @param {{runs: Compared[], revision: number}} props */
export default function CompareConfig({ runs, revision }) {
  const ids = runs.map((run) => run.id);
  const { params } = useSignal(place);
  const all = params.get("all") === "1";
  const search = params.get("p") ?? "";
  const found = useCall(async (signal) => {
    const { tasks } = await call("tasks.get_all_ex", { id: ids, only_fields: FIELDS }, { signal });
    return new Map(/** @type {any[]} */ (tasks).map((task) => [task.id, task]));
  }, [ids.join(","), revision]);
  const tasks = useMemo(() => ids.map((id) => found.data?.get(id) ?? {}), [found.data, ids.join(",")]);
  const rows = useMemo(() => rowsOf(tasks), [tasks]);
  if (found.error && !found.data) return use(Problem, { error: found.error, again: found.again });
  if (!found.data) return div({ class: "view-loading", "aria-busy": "true" });
  const differing = rows.filter((row) => row.differs);
  const fits = finder(search);
  const shown = (all ? [...differing, ...rows.filter((row) => !row.differs)] : differing).filter((row) => fits(`${row.group}/${row.name}`) || row.values.some(fits));
  return div(
    { class: "view compare-view" },
    div(
      { class: "compare-search" },
      h2(rows.length ? `${integer(differing.length)} of ${plural(rows.length, "parameter")} differ` : "No parameters"),
      rows.length > 0 && input({ type: "search", placeholder: "Find parameter or value", "aria-label": "Find parameter or value", value: search, onInput: (/** @type {any} */ event) => setParams({ p: event.target.value }) }),
      rows.length > differing.length && label(input({ type: "checkbox", checked: all, onChange: () => setParams({ all: all ? "" : "1" }) }), " show equal values too"),
    ),
    shown.length > 0 &&
      div(
        { class: "table-scroll" },
        table(
          { class: "plain compare-table" },
          thead(tr(th({ scope: "col" }, "Parameter"), ...runs.map((run) => th({ key: run.id, scope: "col", class: run.hidden ? "off" : "" }, span({ class: "dot", style: { background: color(run.pick) } }), " ", run.name)))),
          tbody(
            shown.map((row) => {
              const usual = mostFrequent(row.values);
              return tr(
                { key: `${row.group}/${row.name}` },
                th({ scope: "row" }, span({ class: "muted" }, `${row.group}/`), row.name),
                ...row.values.map((value, index) => td({ key: ids[index], class: row.differs && value !== usual ? "odd" : "", title: value }, shortened(row, value))),
              );
            }),
          ),
        ),
      ),
    rows.length > 0 && !shown.length && p({ class: "muted" }, search ? `Nothing contains "${search}".` : "All parameters are equal."),
    use(Texts, { runs, tasks }),
  );
}

/** @param {any[]} tasks @returns {Row[]} */
function rowsOf(tasks) {
  /** @type {Map<string, Row>} */
  const rows = new Map();
  const put = (/** @type {string} */ group, /** @type {string} */ name, /** @type {number} */ index, /** @type {unknown} */ value) => {
    if (value === undefined || value === null || value === "") return;
    const key = `${group}\n${name}`;
    let row = rows.get(key);
    if (!row) rows.set(key, (row = { group, name, values: tasks.map(() => ""), differs: false }));
    row.values[index] = String(value);
  };
  tasks.forEach((task, index) => {
    for (const [section, parameters] of Object.entries(task.hyperparams ?? {})) {
      for (const [name, one] of Object.entries(/** @type {Record<string, any>} */ (parameters))) put(section, name, index, one.value);
    }
    const script = task.script ?? {};
    for (const name of ["repository", "branch", "tag", "version_num", "entry_point", "working_dir", "binary"]) put("code", name === "version_num" ? "commit" : name, index, script[name]);
    put("container", "image", index, task.container?.image);
  });
  for (const row of rows.values()) row.differs = new Set(row.values).size > 1;
  return [...rows.values()];
}

/** A cell of the table; the whole value is its title. @param {Row} row @param {string} value */
function shortened(row, value) {
  if (row.name === "commit" && row.group === "code" && value.length > 14) return `${value.slice(0, 6)}…${value.slice(-6)}`;
  return value.length > LONG ? `${value.slice(0, LONG)}…` : value;
}

/** @param {string[]} values */
function mostFrequent(values) {
  /** @type {Map<string, number>} */
  const counts = new Map();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const [first, second] = [...counts].sort((a, b) => b[1] - a[1]);
  return first && (!second || first[1] > second[1]) ? first[0] : values[0] ?? "";
}

/** @param {{runs: Compared[], tasks: any[]}} props */
function Texts({ runs, tasks }) {
  const { params } = useSignal(place);
  const chosen = (/** @type {string} */ name, /** @type {number} */ usual) => {
    const at = runs.findIndex((run) => run.id === params.get(name));
    return at < 0 ? usual : at;
  };
  const texts = useMemo(() => tasks.map(textsOf), [tasks]);
  const left = chosen("from", 0);
  const differing = useMemo(() => {
    const base = JSON.stringify(texts[left]);
    return texts.findIndex((one) => JSON.stringify(one) !== base);
  }, [texts, left]);
  const right = chosen("to", differing < 0 ? (left ? 0 : 1) : differing);
  const whole = readNames(params.get("whole") ?? "");
  const from = texts[Math.min(left, texts.length - 1)] ?? {};
  const to = texts[Math.min(right, texts.length - 1)] ?? {};
  const names = [...new Set(texts.flatMap((one) => Object.keys(one)))].sort();
  if (!names.length || runs.length < 2) return null;
  const choose = (/** @type {string} */ label, /** @type {string} */ name, /** @type {number} */ value) =>
    select({ "aria-label": label, value, onChange: (/** @type {any} */ event) => setParams({ [name]: runs[Number(event.target.value)]?.id }) }, runs.map((run, index) => option({ key: run.id, value: index, selected: index === value }, run.name)));
  return fragment(
    div({ class: "compare-search" }, h2("Texts"), choose("From run", "from", left), span({ class: "muted" }, "to"), choose("To run", "to", right)),
    names.map((name) => use(Difference, { key: name, name, left: from[name] ?? "", right: to[name] ?? "", whole: whole.includes(name), onWhole: (/** @type {boolean} */ on) => setParams({ whole: writeNames([...whole.filter((one) => one !== name), ...(on ? [name] : [])]) }) })),
  );
}

/** Configuration objects, uncommitted changes and packages of a run. @param {any} task @returns {Record<string, string>} */
function textsOf(task) {
  /** @type {Record<string, string>} */
  const texts = {};
  for (const [name, one] of Object.entries(/** @type {Record<string, any>} */ (task.configuration ?? {}))) texts[`configuration ${name}`] = one.value ?? "";
  if (task.script?.diff) texts["uncommitted changes"] = task.script.diff;
  const packages = task.script?.requirements?.pip;
  if (packages) texts.packages = Array.isArray(packages) ? packages.join("\n") : String(packages);
  return texts;
}

/** @param {{name: string, left: string, right: string, whole: boolean, onWhole: (on: boolean) => void}} props `whole`: equal lines too */
function Difference({ name, left, right, whole, onWhole }) {
  const lines = useMemo(() => diffLines(left, right), [left, right]);
  const changed = lines.filter((line) => line.kind !== "same").length;
  const parts = whole ? lines : hunks(lines);
  return section(
    { class: "difference" },
    div({ class: "section-head" }, h2(name), span({ class: "muted" }, changed ? plural(changed, "changed line") : "equal"), changed > 0 && button({ type: "button", class: "link", onClick: () => onWhole(!whole) }, whole ? "Only changes" : "Whole text")),
    changed > 0 &&
      div(
        { class: "diff mono", tabIndex: 0, role: "region", "aria-label": `Difference of ${name}` },
        parts.map((line, index) =>
          typeof line === "number"
            ? div({ key: `gap ${index}`, class: "diff-gap muted" }, `${plural(line, "equal line")}`)
            : div({ key: index, class: `diff-line ${line.kind}` }, span({ class: "diff-sign", "aria-label": line.kind }, line.kind === "added" ? "+" : line.kind === "removed" ? "−" : " "), code(line.text)),
        ),
      ),
  );
}
