// Data of image comparisons: which steps exist, and each run's images at a step.
import { call } from "../core/api.js";
import { loadPrefixes } from "../core/files.js";
import { expand, order, pictureOf } from "./image-source.js";

/** @typedef {import("./image-source.js").Picture} Picture */

const KEPT = 200;

export class ComparedImages {
  /** @param {string[]} ids */
  constructor(ids) {
    this.ids = ids;
    /** metric -> variant -> steps of any run, ascending. @type {Map<string, Map<string, number[]>>} */
    this.index = new Map();
    /** @type {Map<string, Promise<Map<string, Picture>>>} */
    this.known = new Map();
  }

  /** @param {AbortSignal} signal */
  async open(signal) {
    const [{ variants }] = await Promise.all([call("events.get_image_index", { tasks: this.ids }, { signal }), loadPrefixes()]);
    /** @type {Map<string, Map<string, Set<number>>>} */
    const found = new Map();
    for (const { metric, variant, runs } of variants) {
      const steps = entry(entry(found, metric, () => new Map()), variant, () => new Set());
      for (const step of expand(runs)) steps.add(step);
    }
    for (const metric of [...found.keys()].sort(order)) {
      const names = [...(found.get(metric) ?? [])].sort(([one], [other]) => order(one, other));
      this.index.set(metric, new Map(names.map(([variant, steps]) => [variant, [...steps].sort((x, y) => x - y)])));
    }
    return this;
  }

  /** Steps of some variants, ascending. @param {string} metric @param {string[]} variants */
  stepsOf(metric, variants) {
    const of = this.index.get(metric);
    const steps = variants.length === 1 ? (of?.get(variants[0]) ?? []) : [...new Set(variants.flatMap((variant) => of?.get(variant) ?? []))];
    return variants.length === 1 ? steps : steps.sort((x, y) => x - y);
  }

  /**
   * The newest image of each run and variant up to a step, by `cell`.
   * @param {string} metric @param {string[]} variants @param {number} step @returns {Promise<Map<string, Picture>>}
   */
  at(metric, variants, step) {
    const key = JSON.stringify([metric, variants, step]);
    const found = this.known.get(key);
    if (found) return found;
    const asked = this.read(metric, variants, step);
    asked.catch(() => this.known.delete(key)); // the next request tries again
    this.known.set(key, asked);
    if (this.known.size > KEPT) this.known.delete(/** @type {string} */ (this.known.keys().next().value));
    return asked;
  }

  /** @param {string} metric @param {string[]} variants @param {number} step */
  async read(metric, variants, step) {
    const { samples } = await call("events.get_debug_image_samples", { tasks: this.ids, metrics: [{ metric, variants }], iteration: step });
    return new Map(samples.flatMap((/** @type {any} */ { task, event }) => (event ? [[cell(task, event.variant), pictureOf(event)]] : [])));
  }
}

/** @param {string} run @param {string} variant */
export const cell = (run, variant) => `${run}\n${variant}`;

/** @template T @param {Map<string, T>} map @param {string} key @param {() => T} make */
function entry(map, key, make) {
  const found = map.get(key) ?? make();
  map.set(key, found);
  return found;
}
