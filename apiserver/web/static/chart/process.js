// Process time: time since the first event without pauses, like a clock that runs only while the program reports.
import { findPauses } from "./buckets.js";

/** @typedef {import("./source.js").Loaded} Loaded */

/**
 * The same series with the run's pauses removed from x. A pause is a time in which no series has a point.
 * @param {Loaded[]} loaded with x in ms
 * @returns {Loaded[]}
 */
export function withoutPauses(loaded) {
  /** @type {Map<string, [number, number][]>} */
  const pauses = new Map();
  for (const task of new Set(loaded.map((one) => one.task))) {
    const times = loaded.filter((one) => one.task === task).flatMap((one) => [...one.buckets.x]);
    pauses.set(task, findPauses(Float64Array.from(times).sort()));
  }
  return loaded.map((one) => {
    const of = pauses.get(one.task) ?? [];
    const x = one.buckets.x.slice();
    let gone = 0;
    let next = 0;
    for (let i = 0; i < x.length; i++) {
      while (next < of.length && of[next][1] <= x[i]) {
        gone += of[next][1] - of[next][0];
        next++;
      }
      x[i] -= gone;
    }
    return { ...one, buckets: { ...one.buckets, x } };
  });
}
