// Sparklines of many runs, read in one call and kept until a run changes.
import { COLUMNS, callColumns } from "./api.js";
import { readColumns } from "./columns.js";
import { integer, number } from "./format.js";

const WIDTH = 40;
/** Most cells of one answer, below the server's limit to leave room for new series. */
const MOST_CELLS = 900_000;

/** @typedef {{min: ArrayLike<number>, mean: ArrayLike<number>, max: ArrayLike<number>, label: string, last: number | null}} Thumb */

/** The name of a thumbnail. @param {string} task @param {string} metric @param {string} variant */
export const thumbKey = (task, metric, variant) => `${task}\n${metric}\n${variant}`;

/**
 * Thumbnails by `thumbKey`.
 * @param {string[]} tasks
 * @param {{metric: string, variant: string}[]} series
 * @param {AbortSignal} [signal]
 * @returns {Promise<Map<string, Thumb>>}
 */
export function thumbnails(tasks, series, signal) {
  return read(wanted(tasks, series), signal);
}

/** The same as a call. @param {string[]} tasks @param {{metric: string, variant: string}[]} series @returns {import("./first.js").Sent} */
export const thumbnailsCall = (tasks, series) => ["events.get_thumbnails", wanted(tasks, series), COLUMNS];

/** @param {string[]} tasks @param {{metric: string, variant: string}[]} series */
function wanted(tasks, series) {
  /** @type {Map<string, string[]>} */
  const byMetric = new Map();
  for (const { metric, variant } of series) {
    const variants = byMetric.get(metric);
    if (variants) variants.push(variant);
    else byMetric.set(metric, [variant]);
  }
  const metrics = [...byMetric].map(([metric, variants]) => ({ metric, variants }));
  return { tasks, metrics, width: WIDTH };
}

/**
 * Thumbnails of all `count` series of a run, in one call; of very many they are coarser.
 * @param {string} task @param {number} count @param {AbortSignal} [signal]
 */
export function allThumbnails(task, count, signal) {
  return read({ tasks: [task], width: Math.max(2, Math.min(WIDTH, Math.floor(MOST_CELLS / Math.max(1, count)))) }, signal);
}

/** @param {object} body @param {AbortSignal} [signal] @returns {Promise<Map<string, Thumb>>} */
async function read(body, signal) {
  const answer = readColumns(await callColumns("events.get_thumbnails", body, { signal }));
  return new Map(
    answer.series.map((one) => {
      const { min, mean, max } = one.columns;
      const label = `${one.metric}/${one.variant}: ${integer(one.points)} points, from ${number(one.low)} to ${number(one.high)}, last ${number(one.last)}`;
      return [thumbKey(one.task, one.metric, one.variant), /** @type {Thumb} */ (/** @type {any} */ ({ min, mean, max, label, last: one.last }))];
    }),
  );
}
