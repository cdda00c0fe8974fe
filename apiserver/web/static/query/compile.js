// Compiles terms of the filter language to fields of tasks.get_all_ex, resolving names.
import { FIELDS, LanguageError, STATISTICS, STATUSES, isNumber, statisticOf, timeOf } from "./language.js";

/**
 * What exists: hyper-parameters and series, and how to look up the rest.
 * @typedef {{section: string, name: string}} Parameter
 * @typedef {{metric: string, variant: string, metric_hash: string, variant_hash: string}} Series
 * @typedef {{
 *   parameters: Parameter[],
 *   series: Series[],
 *   values: (parameter: Parameter) => Promise<string[]>,
 *   projects: (names: string[]) => Promise<string[]>,
 *   users: (names: string[]) => Promise<string[]>,
 * }} Vocabulary
 */

const TIMES = /** @type {Record<string, string>} */ ({ started: "started", ended: "completed", updated: "last_update" });

/**
 * The request's fields. Throws LanguageError for a name that does not exist.
 * @param {import("./language.js").Term[]} terms
 * @param {Vocabulary} vocabulary
 * @param {number} [now]
 * @returns {Promise<Record<string, any>>}
 */
export async function compile(terms, vocabulary, now = Date.now()) {
  const out = new Request();
  for (const term of terms) {
    if (term.kind === "text") out.words.push(term.text);
    else if (term.kind === "match") match(term, out, vocabulary);
    else if (term.kind === "list") await list(term, out, vocabulary);
    else await range(term, out, vocabulary, now);
  }
  return out.fields();
}

class Request {
  /** @type {string[]} */ words = [];
  /** @type {Record<string, any>} */ plain = {};
  /** @type {Record<string, {include: string[][], exclude: string[]}>} */ lists = {};
  archived = false;

  /** @param {string} path @param {string[]} values @param {boolean} negate */
  list(path, values, negate) {
    const found = (this.lists[path] ??= { include: [], exclude: [] });
    if (negate) found.exclude.push(...values);
    else found.include.push(values);
  }

  /** @param {string} path @param {string} bound */
  bound(path, bound) {
    (this.plain[path] ??= []).push(bound);
  }

  fields() {
    /** @type {Record<string, any>} */
    const fields = { ...this.plain };
    /** @type {Record<string, any>} */
    const filters = {};
    for (const [path, { include, exclude }] of Object.entries(this.lists)) {
      const many = path === "tags";
      /** @type {Record<string, any>} */
      const filter = { op: "and" };
      // Two lists for one field must both match: a field with one value must be in their intersection; tags can match each.
      const single = include.length < 2 || many ? include[0] : include.reduce((left, right) => left.filter((one) => right.includes(one)));
      if (single) filter.any = { include: single.length ? single : ["\u0000"] };
      const all = many ? include.slice(1).flat() : [];
      if (all.length || exclude.length) filter.all = { ...(all.length && { include: all }), ...(exclude.length && { exclude }) };
      filters[path] = filter;
    }
    if (Object.keys(filters).length) fields.filters = filters;
    fields.system_tags = this.archived ? ["archived"] : ["-archived"];
    if (this.words.length) fields._any_ = { pattern: this.words.map(literal).join(".*"), fields: ["name", "id", "comment", "tags"] };
    return fields;
  }
}

/** @param {string} text */
export function literal(text) {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

/** @param {import("./language.js").MatchTerm} term @param {Request} out @param {Vocabulary} vocabulary */
function match(term, out, vocabulary) {
  if (term.field === "name" || term.field === "comment") out.plain[term.field] = term.pattern;
  else if (FIELDS[term.field] || statisticOf(term.field)) throw wrong(term, `"${term.field}" takes no pattern; use name~"…"`);
  else out.plain._all_ = { pattern: term.pattern, fields: [path(parameterOf(term, vocabulary))] };
}

/** @param {import("./language.js").ListTerm} term @param {Request} out @param {Vocabulary} vocabulary */
async function list(term, out, vocabulary) {
  const { field, values, negate } = term;
  if (field === "status") out.list("status", values.map((value) => statusOf(value, term)), negate);
  else if (field === "tag") out.list("tags", values, negate);
  else if (field === "type" || field === "id") out.list(field, values, negate);
  else if (field === "user") out.list("user", known(await vocabulary.users(values), "user", term), negate);
  else if (field === "project") out.list("project", known(await vocabulary.projects(values), "project", term), negate);
  else if (field === "is") {
    if (values.length !== 1 || values[0] !== "archived") throw wrong(term, `the only "is:" is is:archived, got "${values.join(",")}"`);
    out.archived = !negate;
  } else if (field === "name" || field === "comment") out.plain[field] = `^(${values.map(literal).join("|")})$`;
  else if (FIELDS[field]) throw wrong(term, `"${field}" needs a comparison: ${field}>value`);
  else if (statisticOf(field)) throw wrong(term, `"${field}" needs a comparison: ${field}<0.5`);
  else out.list(path(parameterOf(term, vocabulary)), values, negate);
}

/** @param {import("./language.js").RangeTerm} term @param {Request} out @param {Vocabulary} vocabulary @param {number} now */
async function range(term, out, vocabulary, now) {
  const { field, op, value } = term;
  const time = TIMES[field];
  if (time) {
    out.bound(time, `${op}${new Date(timeOf(value, now) ?? 0).toISOString().slice(0, 19)}`);
    return;
  }
  if (field === "iter") {
    bounds("last_iteration", term, out);
    return;
  }
  const statistic = statisticOf(field);
  if (statistic) {
    bounds(statisticPath(seriesOf(statistic.series, term, vocabulary), statistic.statistic), term, out);
    return;
  }
  const parameter = parameterOf(term, vocabulary);
  if (!isNumber(value)) throw wrong(term, `"${field}" is compared with a number, got "${value}"`);
  // The server stores parameters as text: compare their values here and query for those that match.
  const fitting = (await vocabulary.values(parameter)).filter((one) => isNumber(one) && compare(Number(one), op, Number(value)));
  out.list(path(parameter), fitting, false);
}

/** @param {string} path @param {import("./language.js").RangeTerm} term @param {Request} out */
function bounds(path, { op, value }, out) {
  if (op === "=") out.plain[path] = [Number(value), Number(value)];
  else if (op === "!=") throw new LanguageError(0, 1, `use < or > instead of "!="`);
  else out.bound(path, `${op}${value}`);
}

/** @param {number} left @param {string} op @param {number} right */
function compare(left, op, right) {
  if (op === "<") return left < right;
  if (op === "<=") return left <= right;
  if (op === ">") return left > right;
  if (op === ">=") return left >= right;
  return op === "=" ? left === right : left !== right;
}

/** @param {Parameter} parameter */
export function path(parameter) {
  return `hyperparams.${parameter.section}.${parameter.name}.value`;
}

/** @param {Series} series @param {string} statistic */
export function statisticPath(series, statistic) {
  return `last_metrics.${series.metric_hash}.${series.variant_hash}.${STATISTICS[statistic]}`;
}

/** The name of a series in columns and filters. @param {{metric: string, variant: string}} series */
export function seriesName(series) {
  return `${series.metric}/${series.variant}`;
}

/** @param {string} name @param {{from: number, to: number}} term @param {Vocabulary} vocabulary */
export function seriesOf(name, term, vocabulary) {
  const found = vocabulary.series.find((one) => seriesName(one) === name);
  if (!found) throw wrong(term, `no run has a series "${name}"${near(name, vocabulary.series.map(seriesName))}`);
  return found;
}

/** @param {{field: string, from: number, to: number}} term @param {Vocabulary} vocabulary */
function parameterOf(term, vocabulary) {
  const name = term.field.replace(/^hp:/, "");
  const found = findParameter(name, vocabulary.parameters);
  if (!found) {
    const names = [...Object.keys(FIELDS), ...vocabulary.parameters.flatMap((one) => [one.name, `${one.section}/${one.name}`])];
    throw wrong(term, `"${term.field}" is neither a field nor a parameter${near(name, names)}`);
  }
  return found;
}

/** @param {string} name @param {Parameter[]} parameters */
export function findParameter(name, parameters) {
  return parameters.find((one) => `${one.section}/${one.name}` === name) ?? parameters.find((one) => one.name === name) ?? null;
}

/** @param {string} value @param {{from: number, to: number}} term */
function statusOf(value, term) {
  const found = STATUSES[value] ?? (Object.values(STATUSES).includes(value) ? value : "");
  if (!found) throw wrong(term, `no status "${value}"; use one of ${Object.keys(STATUSES).join(", ")}`);
  return found;
}

/** @param {string[]} ids @param {string} what @param {import("./language.js").ListTerm} term */
function known(ids, what, term) {
  if (!ids.length) throw wrong(term, `no ${what} "${term.values.join('", "')}"`);
  return ids;
}

/** @param {string} name @param {string[]} names */
function near(name, names) {
  const lower = name.toLowerCase();
  const found = names.find((one) => one.toLowerCase() === lower) ?? names.find((one) => one.toLowerCase().includes(lower) || (one.length > 2 && lower.includes(one.toLowerCase())));
  return found ? `; did you mean "${found}"?` : "";
}

/** @param {{from: number, to: number}} term @param {string} message */
function wrong(term, message) {
  return new LanguageError(term.from, term.to, message);
}
