// Sparklines of many runs, read in one call and kept until a run changes.
import { callColumns } from "./api.js";
import { readColumns } from "./columns.js";
import { integer, number } from "./format.js";

const WIDTH = 40;

/** @typedef {{min: ArrayLike<number>, mean: ArrayLike<number>, max: ArrayLike<number>, label: string}} Thumb */

/**
 * Thumbnails by "task\nmetric\nvariant".
 * @param {string[]} tasks
 * @param {{metric: string, variant: string}[]} series
 * @param {AbortSignal} signal
 * @returns {Promise<Map<string, Thumb>>}
 */
export async function thumbnails(tasks, series, signal) {
  const metrics = [...new Set(series.map((one) => one.metric))].map((metric) => ({ metric, variants: series.filter((one) => one.metric === metric).map((one) => one.variant) }));
  const answer = readColumns(await callColumns("events.get_thumbnails", { tasks, metrics, width: WIDTH }, { signal }));
  return new Map(
    answer.series.map((one) => {
      const { min, mean, max } = one.columns;
      const label = `${one.metric}/${one.variant}: ${integer(one.points)} points, from ${number(one.low)} to ${number(one.high)}, last ${number(one.last)}`;
      return [`${one.task}\n${one.metric}\n${one.variant}`, /** @type {Thumb} */ ({ min, mean, max, label })];
    }),
  );
}
