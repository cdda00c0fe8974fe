// Search in the whole log: first hits at once, progress, cancellation.
import { call } from "../core/api.js";
import { lineOf } from "./log-source.js";

/** @typedef {import("./log-source.js").Line} Line */
/** @typedef {{text: string, regex: boolean, ignoreCase: boolean, levels: string[]}} Query */
/** @typedef {{query: Query, hits: Line[], searched: number, total: number, done: boolean, more: boolean, error: Error | null}} Found */

/** Matches every line, for a search by level only. */
const ANY = "^";
/** The first page is small, so that hits or progress are there at once. */
const FIRST = { batch_size: 50, budget_ms: 100 };
const LATER = { batch_size: 200, budget_ms: 250 };
export const MOST_HITS = 10_000;

/**
 * @param {string} task
 * @param {Query} query
 * @param {(time: number) => number} positionOf position of a time in the log, for the progress
 * @param {(found: Found) => void} tell called after every page
 * @param {AbortSignal} signal
 */
export async function searchLog(task, query, positionOf, tell, signal) {
  /** @type {Found} */
  let found = { query, hits: [], searched: 0, total: 0, done: false, more: false, error: null };
  let scroll;
  try {
    for (;;) {
      const page = await call(
        "events.get_task_log",
        {
          task, search: query.text || ANY, search_regex: query.regex || !query.text, search_ignore_case: query.ignoreCase, navigate_earlier: false, order: "asc", ...(scroll ? LATER : FIRST),
          scroll_id: scroll, ...(query.levels.length ? { levels: query.levels } : {}),
        },
        { signal },
      );
      const hits = page.events.map((/** @type {any} */ event, /** @type {number} */ i) => lineOf(event, page.positions[i]));
      const last = hits[hits.length - 1]?.position ?? -1;
      found = { ...found, hits: [...found.hits, ...hits], total: page.total, searched: Math.max(found.searched, page.searched_to ? positionOf(page.searched_to) : 0, last + 1), more: false };
      scroll = page.scroll_id;
      if (!scroll) {
        tell({ ...found, searched: page.total, done: true });
        return;
      }
      if (found.hits.length >= MOST_HITS) {
        tell({ ...found, done: true, more: true });
        return;
      }
      tell(found);
    }
  } catch (error) {
    if (!signal.aborted) tell({ ...found, done: true, error: /** @type {Error} */ (error) });
  }
}

/**
 * The pattern for highlighting hits in a line; null when JavaScript does not support it (its syntax differs from RE2's).
 * @param {Query} query
 */
export function highlighter({ text, regex, ignoreCase }) {
  if (!text) return null;
  try {
    return new RegExp(regex ? text.replace(/^\(\?i\)/, "") : text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&"), ignoreCase || text.startsWith("(?i)") ? "gi" : "g");
  } catch {
    return null;
  }
}
