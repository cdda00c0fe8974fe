// The columns of the runs table: fields from the server, sort order, text of a cell.
import { ago, duration, integer, ms, number, stampWithZone } from "../core/format.js";
import { findParameter, path, seriesName, statisticPath } from "./compile.js";
import { STATISTICS, quoteName } from "./language.js";

/**
 * @typedef {import("./compile.js").Vocabulary} Vocabulary
 * @typedef {Record<string, any>} Run a task as tasks.get_all_ex returns it
 * @typedef {{
 *   id: string, title: string, width: number, numeric: boolean, fields: string[], sort: string[] | null,
 *   facet?: [field: string, name: string],
 *   text: (run: Run) => string, hint?: (run: Run) => string, spark?: {metric: string, variant: string}, series?: {metric: string, variant: string}, value?: (run: Run) => any
 * }} Column
 */

/** `facet`: the field by which the server counts values, and its name in the filter language. @type {Record<string, Omit<Column, "id">>} */
const BUILT_IN = {
  status: { title: "Status", width: 112, numeric: false, fields: ["status", "status_message"], sort: ["status"], facet: ["status", "status"], text: (run) => run.status ?? "" },
  project: { title: "Project", width: 150, numeric: false, fields: ["project.name"], sort: ["project.name"], text: (run) => run.project?.name ?? "" },
  tags: { title: "Tags", width: 150, numeric: false, fields: ["tags"], sort: null, text: (run) => (run.tags ?? []).join(", ") },
  started: { title: "Started", width: 104, numeric: false, fields: ["started"], sort: ["started"], text: (run) => ago(ms(run.started)), hint: (run) => stampWithZone(ms(run.started)) },
  ended: { title: "Ended", width: 104, numeric: false, fields: ["completed"], sort: ["completed"], text: (run) => ago(ms(run.completed)), hint: (run) => stampWithZone(ms(run.completed)) },
  updated: { title: "Updated", width: 104, numeric: false, fields: ["last_update"], sort: ["last_update"], text: (run) => ago(ms(run.last_update)), hint: (run) => stampWithZone(ms(run.last_update)) },
  took: { title: "Took", width: 100, numeric: false, fields: ["started", "completed", "last_update", "status"], sort: null, text: (run) => duration(took(run)), value: took },
  iter: { title: "Step", width: 84, numeric: true, fields: ["last_iteration"], sort: ["last_iteration"], text: (run) => integer(run.last_iteration), value: (run) => run.last_iteration },
  user: { title: "User", width: 110, numeric: false, fields: ["user.name"], sort: ["user.name"], text: (run) => run.user?.name ?? "" },
  type: { title: "Type", width: 90, numeric: false, fields: ["type"], sort: ["type"], facet: ["type", "type"], text: (run) => run.type ?? "" },
  comment: { title: "Comment", width: 180, numeric: false, fields: ["comment"], sort: null, text: (run) => run.comment ?? "" },
  id: { title: "Id", width: 120, numeric: false, fields: [], sort: ["id"], text: (run) => run.id },
};

export const BUILT_IN_IDS = Object.keys(BUILT_IN);

/** @param {Run} run ms that the run took, until now when it runs; NaN before its start */
export function took(run) {
  const from = ms(run.started);
  const running = run.status === "in_progress";
  return Math.max(0, (running ? ms(run.last_update) : ms(run.completed ?? run.last_update)) - from);
}

/**
 * A column by its name in the URL: "status", "hp:lr", "min:val/loss", "~val/loss". Null when it does not exist (any more).
 * @param {string} id
 * @param {{parameters: Vocabulary["parameters"], series: Vocabulary["series"]}} names
 * @returns {Column | null}
 */
export function column(id, names) {
  const builtIn = BUILT_IN[id];
  if (builtIn) return { id, ...builtIn };
  if (id.startsWith("hp:")) {
    const found = findParameter(id.slice(3), names.parameters);
    if (!found) return null;
    const value = (/** @type {Run} */ run) => run.hyperparams?.[found.section]?.[found.name]?.value;
    return { id, title: found.name, width: 110, numeric: true, fields: [path(found)], sort: [path(found)], facet: [path(found), quoteName(`hp:${found.section}/${found.name}`)], text: (run) => value(run) ?? "", value };
  }
  const spark = id.startsWith("~");
  const [statistic, name] = spark ? ["", id.slice(1)] : split(id);
  const series = names.series.find((one) => seriesName(one) === name);
  if (!series) return null;
  const of = { metric: series.metric, variant: series.variant };
  if (spark) return { id, title: name, width: 124, numeric: false, fields: [], sort: null, text: () => "", spark: of, series: of };
  const field = STATISTICS[statistic];
  if (!field) return null;
  const statisticField = statisticPath(series, statistic);
  const value = (/** @type {Run} */ run) => run.last_metrics?.[series.metric_hash]?.[series.variant_hash]?.[field];
  return { id, title: `${statistic} ${name}`, width: 116, numeric: true, fields: [statisticField], sort: [statisticField], text: (run) => number(value(run)), hint: (run) => String(value(run) ?? ""), value, series: of };
}

/** @param {string} id @returns {[string, string]} */
function split(id) {
  const at = id.indexOf(":");
  return [id.slice(0, at), id.slice(at + 1)];
}

/**
 * The default columns, with the first validation loss, else the first series.
 * @param {Vocabulary["series"]} series
 * @param {boolean} [narrow] value and curve first: a phone shows two or three columns
 */
export function defaults(series, narrow) {
  const names = series.map(seriesName).filter((name) => !name.startsWith(":monitor:") && !name.startsWith("Summary/"));
  const best = names.find((name) => /val.*loss|loss.*val/i.test(name)) ?? names.find((name) => /loss/i.test(name)) ?? names[0];
  const score = names.find((name) => /acc|f1|auc|map|reward|score/i.test(name));
  const facts = ["status", "project", "started", "took", "iter"];
  const values = [...(best ? [`min:${best}`] : []), ...(score && score !== best ? [`last:${score}`] : [])];
  const curve = best ? [`~${best}`] : [];
  return narrow ? [...values.slice(0, 1), ...curve, ...values.slice(1), ...facts] : [...facts, ...values, ...curve];
}

/**
 * The server's `order_by` from the URL's "-started,min:val/loss".
 * @param {string} sort
 * @param {{parameters: Vocabulary["parameters"], series: Vocabulary["series"]}} names
 */
export function orderBy(sort, names) {
  return sort
    .split(",")
    .filter(Boolean)
    .flatMap((one) => {
      const descending = one.startsWith("-");
      const id = descending ? one.slice(1) : one;
      const fields = id === "name" ? ["name"] : column(id, names)?.sort ?? [];
      return fields.map((field) => (descending ? `-${field}` : field));
    });
}
