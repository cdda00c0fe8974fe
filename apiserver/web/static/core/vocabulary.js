// Existing names (hyper-parameters, series, tags, users, projects) for completion and filters. Read at most once a minute.
import { call } from "./api.js";
import { parametersCall, seriesCall } from "./first.js";

const FRESH_MS = 60_000;
/** @type {Map<string, {at: number, promise: Promise<any>}>} */
const kept = new Map();

/**
 * @template T
 * @param {string} key
 * @param {() => Promise<T>} read
 * @returns {Promise<T>}
 */
function once(key, read) {
  const found = kept.get(key);
  if (found && Date.now() - found.at < FRESH_MS) return found.promise;
  const promise = read();
  kept.set(key, { at: Date.now(), promise });
  promise.catch(() => kept.delete(key));
  return promise;
}

/** Clears the cache after a change by the user. */
export function forget() {
  kept.clear();
}

/** @returns {Promise<{section: string, name: string}[]>} */
export const parameters = () => once("parameters", async () => (await call(...parametersCall)).parameters);

/** @returns {Promise<{metric: string, variant: string, metric_hash: string, variant_hash: string}[]>} */
export const series = () =>
  once("series", async () => {
    const { metrics } = await call(...seriesCall);
    store({ series: metrics });
    return metrics;
  });

/** The series of a project's runs, with its subprojects. @param {string} name @returns {ReturnType<typeof series>} */
export const seriesOfProject = (name) =>
  once(`series of ${name}`, async () => {
    const project = (await projects()).find((one) => one.name === name);
    return project ? (await call("projects.get_unique_metric_variants", { project: project.id })).metrics : [];
  });

/** @returns {Promise<string[]>} */
export const tags = () => once("tags", async () => (await call("projects.get_task_tags")).tags);

/** @returns {Promise<{id: string, name: string}[]>} */
export const users = () => once("users", async () => (await call("projects.get_user_names")).users);

/** @returns {Promise<string[]>} */
export const types = () => once("types", async () => (await call("tasks.get_types")).types);

/** @param {{section: string, name: string}} parameter @returns {Promise<string[]>} */
export const valuesOf = ({ section, name }) =>
  once(`values ${section}/${name}`, async () => (await call("projects.get_hyperparam_values", { section, name })).values);

/** @returns {Promise<{id: string, name: string}[]>} */
export const projects = () => once("projects", async () => (await call("projects.get_all", { only_fields: ["name"] })).projects);

/** Storage key for the names of this tab's last visit, and their maximal length as JSON. */
const REMEMBERED = "tidemark.names";
const MOST_TEXT = 500_000;

/** @returns {{parameters?: Awaited<ReturnType<typeof parameters>>, series?: Awaited<ReturnType<typeof series>>}} */
function stored() {
  try {
    return JSON.parse(sessionStorage.getItem(REMEMBERED) ?? "{}");
  } catch {
    return {};
  }
}

/** @param {ReturnType<typeof stored>} names */
function store(names) {
  try {
    const text = JSON.stringify({ ...stored(), ...names });
    if (text.length < MOST_TEXT) sessionStorage.setItem(REMEMBERED, text);
  } catch {
    // Storage is disabled or full: the next visit waits for the names.
  }
}

/** Everything that `query/compile.js` needs. */
export async function vocabulary() {
  const [known, all] = await Promise.all([parameters(), series()]);
  store({ parameters: known }); // the series are stored when they are read
  return withNames(known, all);
}

/** The names of this tab before its reload, or null. */
export function remembered() {
  const { parameters: known, series: all } = stored();
  return known && all ? withNames(known, all) : null;
}

/** The series of this tab before its reload, or null. */
export const rememberedSeries = () => stored().series ?? null;

/** @param {Awaited<ReturnType<typeof parameters>>} known @param {Awaited<ReturnType<typeof series>>} all */
function withNames(known, all) {
  return {
    parameters: known,
    series: all,
    values: valuesOf,
    projects: async (/** @type {string[]} */ names) =>
      (await projects()).filter((one) => names.some((name) => one.name === name || one.name.startsWith(`${name}/`))).map((one) => one.id),
    users: async (/** @type {string[]} */ names) => (await users()).filter((one) => names.includes(one.name) || names.includes(one.id)).map((one) => one.id),
  };
}
