// The rows of a query: loaded page by page as they come into view, cached, and updated without moving visible rows.
import { signal } from "../vendor/signals.js";
import { call } from "../core/api.js";
import { PAGE, rowsCall } from "../core/first.js";

/** Most runs of a call that does not load a page of the table. */
const MOST_READ = 500;

/** @typedef {import("../query/columns.js").Run} Run */

export class Rows {
  /**
   * @param {Record<string, any>} query filters of tasks.get_all_ex
   * @param {string[]} order
   * @param {string[]} fields
   */
  constructor(query, order, fields) {
    this.query = query;
    this.order = order;
    this.fields = fields;
    /** @type {Map<number, Run>} index -> run */
    this.runs = new Map();
    /** @type {Set<number>} pages that were asked for */
    this.asked = new Set();
    /** @type {number | null} null: not known yet */
    this.total = null;
    /** @type {Record<string, {values: {value: string | null, count: number}[], distinct: number}>} */
    this.facets = {};
    this.news = 0;
    /** Incremented with every change. */
    this.changed = signal(0);
    this.error = signal(/** @type {Error | null} */ (null));
    this.control = new AbortController();
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.later = undefined;
    this.counted = false;
    /** Rows that there were when the reader saw the list last: there is room for them before they are counted. */
    this.expected = 0;
  }

  stop() {
    this.control.abort();
  }

  /** The length of the table: all rows, or one page more than loaded while the total is unknown. */
  get length() {
    return this.total ?? Math.max(this.runs.size, this.expected) + 20;
  }

  /** Reads the first page and those of rows `from` to `to`, then how many rows there are; throws what the first calls throw. @param {number} [from] @param {number} [to] */
  async start(from = 0, to = 0) {
    await Promise.all([...new Set([0, Math.floor(from / PAGE), Math.floor(to / PAGE)])].map((page) => this.page(page)));
    this.later = setTimeout(() => this.settled(), TOTALS_MS);
    return this;
  }

  /** Called when the visible rows are complete: counts the rows, once. */
  settled() {
    clearTimeout(this.later);
    if (this.counted || this.control.signal.aborted) return;
    this.counted = true;
    this.totals().catch((error) => {
      if (!this.control.signal.aborted) this.error.value = error;
    });
  }

  /** Counts the rows of the query, in total and by status, tag, type and user. */
  async totals() {
    const answer = await this.ask({ page: 0, page_size: 1, order_by: [], only_fields: ["id"], ...TOTALS });
    // If all rows are on screen, their number is the total; more of them have arrived since.
    if (this.total === null) this.total = answer.total;
    else this.news = Math.max(0, answer.total - this.total);
    this.facets = answer.facets;
    this.changed.value += 1;
  }

  /**
   * Makes rows `from` to `to` available.
   * @param {number} from
   * @param {number} to
   */
  ensure(from, to) {
    const last = Math.floor(Math.max(0, Math.min(to, this.length - 1)) / PAGE);
    for (let page = Math.floor(Math.max(0, from) / PAGE); page <= last; page++) {
      if (this.asked.has(page)) continue;
      this.page(page).catch((error) => {
        this.asked.delete(page);
        if (!this.control.signal.aborted) this.error.value = error;
      });
    }
  }

  /** @param {number} page */
  async page(page) {
    this.asked.add(page);
    const { fields } = this;
    const answer = await call(...rowsCall(this.query, this.order, fields, page), { signal: this.control.signal });
    answer.tasks.forEach((/** @type {Run} */ run, /** @type {number} */ index) => this.runs.set(page * PAGE + index, run));
    if (fields !== this.fields) await this.update(answer.tasks.map((/** @type {Run} */ run) => run.id));
    if (answer.tasks.length < PAGE && (answer.tasks.length || !page)) this.total = page * PAGE + answer.tasks.length;
    this.error.value = null;
    this.changed.value += 1;
  }

  /**
   * Adds columns: pages in view are reloaded now, others when they come into view.
   * @param {string[]} fields @param {number} from @param {number} to
   */
  widen(fields, from, to) {
    if (fields.every((field) => this.fields.includes(field))) return;
    this.fields = fields;
    const first = Math.floor(from / PAGE);
    const last = Math.floor(Math.max(from, to - 1) / PAGE);
    this.asked = new Set(Array.from({ length: last - first + 1 }, (_, index) => first + index));
    this.update(this.ids(first * PAGE, (last + 1) * PAGE)).catch((error) => {
      if (!this.control.signal.aborted) this.error.value = error;
    });
  }

  /** @param {Record<string, any>} extra */
  ask(extra) {
    return call("tasks.get_all_ex", { ...this.query, order_by: this.order, only_fields: this.fields, ...extra }, { signal: this.control.signal });
  }

  /**
   * Reloads the visible rows. Rows keep their places; new runs are inserted only if the table is scrolled to the top (`atTop`), otherwise `news` counts them.
   * @param {number} from
   * @param {number} to
   * @param {boolean} atTop
   */
  async refresh(from, to, atTop) {
    if (atTop) {
      const before = this.ids(0, PAGE);
      const answer = await this.ask({ page: 0, page_size: PAGE, ...TOTALS });
      const same = answer.tasks.length === before.length && answer.tasks.every((/** @type {Run} */ run, /** @type {number} */ i) => run.id === before[i]);
      if (!same) {
        this.runs.clear();
        this.asked = new Set([0]);
      }
      answer.tasks.forEach((/** @type {Run} */ run, /** @type {number} */ index) => this.runs.set(index, run));
      this.total = typeof answer.total === "number" ? answer.total : answer.tasks.length < PAGE ? answer.tasks.length : this.total;
      if (answer.facets) this.facets = answer.facets;
      this.news = 0;
    } else {
      const ids = this.ids(from, to);
      const [count] = await Promise.all([this.ask({ page: 0, page_size: 1, ...TOTALS }), this.update(ids)]);
      if (typeof count.total === "number" && this.total !== null) this.news = Math.max(0, count.total - this.total);
    }
    this.changed.value += 1;
  }

  /** Applies live states of runs. @param {import("../core/live.js").RunState[]} states */
  apply(states) {
    const fresh = new Map(states.map((state) => [state.id, state]));
    for (const [index, run] of this.runs) {
      const state = fresh.get(run.id);
      if (state) this.runs.set(index, { ...run, ...state });
    }
    if (fresh.size) this.changed.value += 1;
  }

  /** Reloads some rows; they keep their places. @param {string[]} ids */
  async update(ids) {
    if (ids.length) this.apply(/** @type {any[]} */ (await this.read(ids)));
  }

  /** Ids of known rows. @param {number} from @param {number} to */
  ids(from, to) {
    const ids = [];
    for (let index = from; index < to; index++) {
      const run = this.runs.get(index);
      if (run) ids.push(run.id);
    }
    return ids;
  }

  /** Runs with these ids, also if the query excludes them; deleted ones are left out. @param {string[]} ids */
  async read(ids) {
    /** @type {Run[]} */
    const runs = [];
    for (let from = 0; from < ids.length; from += MOST_READ) {
      const { tasks } = await call("tasks.get_all_ex", { id: ids.slice(from, from + MOST_READ), only_fields: this.fields, page: 0, page_size: MOST_READ }, { signal: this.control.signal });
      runs.push(...tasks);
    }
    return runs;
  }

  /**
   * The parameters that distinguish most runs of the query, with the number of runs by value.
   * @param {{section: string, name: string}[]} parameters @param {number} most
   * @returns {Promise<{parameter: {section: string, name: string}, values: {value: string, count: number}[]}[]>}
   */
  async differing(parameters, most) {
    const fields = new Map(parameters.slice(0, COUNTED).map((parameter) => [`hyperparams.${parameter.section}.${parameter.name}`, parameter]));
    const { facets } = await this.ask({ page: 0, page_size: 1, order_by: [], only_fields: ["id"], facets: [...fields.keys()], facet_values: MOST_VALUES });
    return [...fields]
      .map(([field, parameter]) => ({ parameter, distinct: facets[field]?.distinct ?? 0, values: (facets[field]?.values ?? []).filter((/** @type {any} */ one) => one.value !== null) }))
      .filter(({ distinct, values }) => distinct <= MOST_VALUES && values.length > 1)
      .sort((a, b) => weight(b.values) - weight(a.values))
      .slice(0, most);
  }

  /** The most frequent value of a field in the query's runs; null: their values are all the same, or all different. @param {string} field */
  async usual(field) {
    const { facets } = await this.ask({ page: 0, page_size: 1, order_by: [], only_fields: ["id"], facets: [field], facet_values: 2 });
    const { values, distinct } = facets[field];
    const most = values.find((/** @type {{value: string | null}} */ one) => one.value !== null);
    return distinct > 1 && most?.count > 1 ? String(most.value) : null;
  }

  /**
   * Updates a result of `all` with runs that changed or were added; runs that no longer match stay until the next `all`.
   * @param {Run[]} known with `last_change` @returns {Promise<Run[]>} the same array when nothing changed
   */
  async fresher(known) {
    const since = known.reduce((last, run) => (run.last_change > last ? run.last_change : last), "");
    const { tasks } = await this.ask({ ...(since ? { last_change: [`>=${since}`] } : {}), order_by: ["-last_change"], page: 0, page_size: MOST_READ });
    const before = new Map(known.map((run) => [run.id, run]));
    const changed = tasks.filter((/** @type {Run} */ run) => JSON.stringify(run) !== JSON.stringify(before.get(run.id)));
    if (!changed.length) return known;
    for (const run of changed) before.set(run.id, run);
    return [...before.values()];
  }

  /** Ids of every run of the query, in its order. @param {number} limit */
  async allIds(limit) {
    const { tasks } = await this.ask({ page: 0, page_size: limit, only_fields: ["id"] });
    return tasks.map((/** @type {Run} */ run) => run.id);
  }

  /** Every run of the query, read by pages; for groups and downloads. @param {number} limit */
  async all(limit) {
    /** @type {Run[]} */
    const runs = [];
    for (let page = 0; runs.length < limit; page++) {
      const { tasks } = await this.ask({ page, page_size: MOST_READ });
      runs.push(...tasks);
      if (tasks.length < MOST_READ) break;
    }
    return runs.slice(0, limit);
  }
}

/** Most parameters whose values are counted in a call; and the number of values from which a parameter is no useful facet. */
const COUNTED = 20;
const MOST_VALUES = 12;

/** How well a field distinguishes runs: the number of runs that have it, times the entropy of its values. @param {{count: number}[]} values */
function weight(values) {
  const all = values.reduce((sum, one) => sum + one.count, 0);
  return values.reduce((sum, { count }) => sum - count * Math.log(count / all), 0);
}

/** Totals wait for the curves, but not longer than this: counting ten thousand runs takes as long as everything on screen. */
const TOTALS_MS = 1_000;
/** Fields whose values are counted. */
const TOTALS = { count_total: true, facets: ["status", "tags", "type", "user"], facet_values: 12 };
