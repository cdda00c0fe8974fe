// Data of group charts: per group a line of means and a band, for any number of runs.
import { call } from "../core/api.js";
import { emptyBuckets } from "./buckets.js";

/** @typedef {import("./source.js").Loaded} Loaded */
/** @typedef {import("./source.js").Wanted} Wanted */
/** @typedef {import("./source.js").Cut} Cut */
/** @typedef {{name: string, tasks: string[]}} Group */

/** @param {any} found a line of events.get_group_series @returns {Loaded} `task` is the name of the group */
function decoded(found) {
  const buckets = emptyBuckets(found.x.length, found.interval);
  found.x.forEach((/** @type {number} */ x, /** @type {number} */ i) => {
    buckets.x[i] = x;
    buckets.mean[i] = found.mean[i] ?? NaN;
    buckets.min[i] = found.min[i] ?? NaN;
    buckets.max[i] = found.max[i] ?? NaN;
    buckets.count[i] = found.mean[i] === null ? 0 : found.count[i];
    buckets.time[i] = buckets.step[i] = NaN;
  });
  const points = found.count.reduce((/** @type {number} */ sum, /** @type {number} */ count) => sum + count, 0);
  return { task: found.group, metric: found.metric, variant: found.variant, points, firstNan: null, rewinds: [], origin: 0, xLabel: "", lastX: null, buckets };
}

/** Has the interface of SeriesSource; a card shows one metric of all groups. */
export class GroupSource {
  /** @param {Group[]} groups */
  constructor(groups) {
    this.groups = groups;
    /** Pending work by card. @type {Map<object, {control: AbortController, ask: () => Promise<void>}>} */
    this.cards = new Map();
  }

  /** @param {object} card @param {Wanted[]} wanted @param {Cut} cut @param {(loaded: Loaded[]) => void} done @param {(error: Error) => void} failed */
  want(card, wanted, cut, done, failed) {
    this.leave(card);
    const control = new AbortController();
    const metrics = wanted.map(({ metric, variants }) => ({ metric, variants: variants ?? [] }));
    const range = cut.range ? { x_min: Math.floor(cut.range[0]), x_max: Math.ceil(cut.range[1]) } : {};
    const body = { groups: this.groups, metrics, axis: cut.axis, buckets: cut.buckets, ...range };
    const ask = async () => {
      const { groups } = await call("events.get_group_series", body, { signal: control.signal });
      if (!control.signal.aborted) done(groups.map(decoded));
    };
    this.cards.set(card, { control, ask });
    ask().catch((error) => control.signal.aborted || failed(error));
  }

  /** Reads all cards completely: a group's mean can't be updated incrementally. Throws when a call fails; the charts stay. */
  async update() {
    await Promise.all([...this.cards.values()].map(({ ask }) => ask()));
  }

  /** @param {object} card */
  leave(card) {
    this.cards.get(card)?.control.abort();
    this.cards.delete(card);
  }
}
