// The first calls of each view. start.js sends them while the modules load; the views make the same calls and get these answers.

/** The API version that the page is written for. */
export const VERSION = "2.34";
export const JSON_TYPE = "application/json";
/** Storage key for the calls of the tab's table, for a reload. */
export const REMEMBERED = "tidemark.first";

/**
 * @typedef {[endpoint: string, body: Record<string, any>]} Call
 * @typedef {[endpoint: string, body: Record<string, any>, accept?: string]} Sent
 */

/**
 * A call as `fetch` takes it.
 * @param {string} endpoint @param {object} body @param {string} accept
 * @returns {[string, RequestInit]}
 */
export const wire = (endpoint, body, accept) => [
  `/v${VERSION}/${endpoint}`,
  { method: "POST", credentials: "same-origin", headers: { "Content-Type": JSON_TYPE, Accept: accept }, body: JSON.stringify(body) },
];

/** Calls that were sent early and not used yet, by `keyOf`. A global, because start.js and the modules are separate programs. @type {Map<string, Promise<Response>>} */
export const early = (/** @type {any} */ (globalThis).tidemarkEarly ??= new Map());

/** An early answer that is not used within this time is dropped as outdated. */
const EARLY_MS = 5_000;

/** @param {string} endpoint @param {object} body @param {string} accept */
export const keyOf = (endpoint, body, accept) => JSON.stringify([endpoint, accept, body]);

/** Sends a call early; a view will ask for its answer. @param {Sent} call */
export function ahead([endpoint, body, accept = JSON_TYPE]) {
  const key = keyOf(endpoint, body, accept);
  if (early.has(key)) return;
  const response = fetch(...wire(endpoint, body, accept));
  response.catch(() => undefined); // thrown where the answer is used
  early.set(key, response);
  setTimeout(() => early.get(key) === response && early.delete(key), EARLY_MS);
}

/** @type {Call} */
export const preferencesCall = ["users.get_preferences", {}];

// --- the runs table

export const PAGE = 100;
export const SORT = "-started";
/** What every row needs. */
export const ROW_FIELDS = ["name", "status", "tags", "system_tags", "started", "completed", "last_update"];
/** The same with the columns that need no names. */
const PLAIN_FIELDS = ["completed", "last_iteration", "last_update", "name", "project.name", "started", "status", "status_message", "system_tags", "tags"];
/** The parameters of the address that change the rows. */
const ROW_PARAMS = ["q", "project", "cols", "sort", "group"];
export const NOT_ARCHIVED = { system_tags: ["-archived"] };

/** The hyper-parameters that exist. @type {Call} */
export const parametersCall = ["projects.get_hyper_parameters", { page_size: 10_000 }];
/** The series that exist. @type {Call} */
export const seriesCall = ["projects.get_unique_metric_variants", {}];
/** @param {Record<string, any>} query @param {string[]} order @param {string[]} fields @param {number} page @returns {Call} */
export const rowsCall = (query, order, fields, page) => ["tasks.get_all_ex", { ...query, order_by: order, only_fields: fields, page, page_size: PAGE }];

// --- a run

/** Fields of the head, without the statistics of possibly thousands of series. */
const HEAD_FIELDS = [
  "id", "name", "status", "status_reason", "status_message", "status_changed", "type", "comment", "project.name", "project.id", "user.name", "tags",
  "system_tags", "created", "started", "completed", "last_update", "last_change", "last_iteration", "last_worker", "parent.name", "parent.id",
];
/** @param {string} id @returns {Call} */
export const headCall = (id) => ["tasks.get_by_id_ex", { id: [id], only_fields: HEAD_FIELDS }];

/** The series that have curves. @param {string} id @returns {[Call, Call]} */
export const curvesCalls = (id) => [
  ["events.get_scalar_metrics_and_variants", { task: id }],
  ["events.get_task_metrics", { tasks: [id], event_type: "training_stats_scalar" }],
];

/** Lines that are read at once. */
export const LOG_PAGE = 500;

/** The last page of the log, or more. @param {string} id @returns {Call} */
export const logEnd = (id) => ["events.get_task_log_lines", { task: id, position: 2 ** 40, count: LOG_PAGE }];

/** Which steps have images. @param {string} id @returns {Call} */
export const imageIndex = (id) => ["events.get_image_index", { tasks: [id] }];

/** Every variant's newest image, up to a step if one is given. @param {string} id @param {number} [step] @returns {Call} */
export const images = (id, step) => ["events.get_debug_image_samples", { tasks: [id], ...(step === undefined ? {} : { iteration: step }) }];

/** @type {Call} */
export const pageCall = ["server.page", {}];

/**
 * The first calls of a tab of a run.
 * @param {string} tab "" for that of an address without one
 * @param {string} id @param {URLSearchParams} params
 * @returns {Call[]}
 */
export function tabCalls(tab, id, params) {
  if (tab === "console") return [logEnd(id)];
  if (tab === "images") return [pageCall, imageIndex(id), ...(params.get("at") ? [] : [images(id)])];
  return tab === "charts" || tab === "" ? curvesCalls(id) : [];
}

/**
 * The id in a run's path; "" for other paths. Ids may contain slashes and dots, so everything after /runs/ is the id.
 * @param {string} path
 */
export function runId(path) {
  const id = path.startsWith("/runs/") ? path.slice("/runs/".length) : "";
  try {
    return decodeURIComponent(id);
  } catch {
    return id;
  }
}

/**
 * The first calls of a URL.
 * @param {string} path @param {URLSearchParams} params @param {string | null} remembered what this tab's table has kept, see `remember`
 * @returns {Sent[]}
 */
export function firstCalls(path, params, remembered) {
  if (params.has("view")) return []; // its parameters are not known yet
  const id = runId(path);
  if (id) return [headCall(id), ...tabCalls(params.get("tab") ?? "", id, params)];
  if (path !== "/") return [];
  const kept = readCalls(remembered, params);
  if (kept) return kept;
  const plain = ROW_PARAMS.every((name) => !params.get(name));
  return [plain ? rowsCall(NOT_ARCHIVED, [SORT], PLAIN_FIELDS, 0) : parametersCall, seriesCall];
}

/** The parameters of the URL that decide which rows are shown, as a key. @param {URLSearchParams} params */
const rowsKey = (params) => JSON.stringify(ROW_PARAMS.map((name) => params.get(name) ?? ""));

/** Stores the calls of the table at this URL. @param {URLSearchParams} params @param {Sent[]} calls */
export function remember(params, calls) {
  try {
    sessionStorage.setItem(REMEMBERED, JSON.stringify({ key: rowsKey(params), calls }));
  } catch {
    // Storage is disabled or full: the next visit sends its calls later.
  }
}

/** @param {string | null} text @param {URLSearchParams} params @returns {Sent[] | null} */
function readCalls(text, params) {
  try {
    const { key, calls } = JSON.parse(text ?? "{}");
    return key === rowsKey(params) ? calls : null;
  } catch {
    return null;
  }
}
