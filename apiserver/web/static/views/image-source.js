// Data of a run's images: which steps exist, and the images at a step.
import { call } from "../core/api.js";
import { fileUrl, loadPrefixes } from "../core/files.js";
import { imageIndex, images } from "../core/first.js";

/** @typedef {{key: string, metric: string, variant: string, iter: number, url: string, stored: string, kind: "image" | "audio" | "video" | "other", timestamp: number}} Picture */

const KEPT_STEPS = 60;

const KINDS = /** @type {[RegExp, Picture["kind"]][]} */ ([
  [/\.(wav|mp3|ogg|oga|flac|m4a|aac)$/i, "audio"],
  [/\.(mp4|webm|ogv|mov|m4v)$/i, "video"],
  [/\.(html?|txt|json|csv|md|pdf|zip)$/i, "other"],
]);

/** @param {string} metric @param {string} variant */
export const keyOf = (metric, variant) => JSON.stringify([metric, variant]);

/** Index of the newest step up to `wanted`; the first if there is none. @param {number[]} steps @param {number} wanted */
export function nearestStep(steps, wanted) {
  let at = 0;
  for (let i = 0; i < steps.length && steps[i] <= wanted; i++) at = i;
  return at;
}

/** @param {any} event @returns {Picture} */
export function pictureOf(event) {
  const path = String(event.url ?? "").replace(/[?#].*$/s, "");
  return {
    key: keyOf(event.metric, event.variant), metric: event.metric, variant: event.variant, iter: event.iter ?? 0, stored: event.url ?? "", url: fileUrl(event.url),
    kind: KINDS.find(([pattern]) => pattern.test(path))?.[1] ?? "image", timestamp: event.timestamp,
  };
}

export class ImageSource {
  /** @param {string} task */
  constructor(task) {
    this.task = task;
    /** @type {number[]} steps at which any variant has an image, ascending */
    this.steps = [];
    /** @type {Map<string, number[]>} the same by variant */
    this.byVariant = new Map();
    /** Pictures by step. @type {Map<number, Promise<Picture[]>>} */
    this.known = new Map();
  }

  /** Reads which steps exist, and with `newest` at the same time the images of the last one. @param {AbortSignal} [signal] @param {boolean} [newest] */
  async open(signal, newest) {
    const last = newest ? this.samples() : null;
    last?.catch(() => undefined); // thrown where the images are used
    const { variants } = await call(...imageIndex(this.task), { signal });
    const all = new Set();
    for (const { metric, variant, runs } of variants) {
      const steps = expand(runs);
      this.byVariant.set(keyOf(metric, variant), steps);
      for (const step of steps) all.add(step);
    }
    this.steps = [...all].sort((a, b) => a - b);
    const step = this.steps[this.steps.length - 1];
    if (last && step !== undefined) {
      // An image stored between the two answers belongs to a step that is not in the index yet.
      this.keep(step, last.then((pictures) => (pictures.every((picture) => picture.iter <= step) ? pictures : this.samples(step))));
    }
    return this;
  }

  /** Every variant's newest image up to a step. @param {number} step @returns {Promise<Picture[]>} */
  at(step) {
    const found = this.known.get(step);
    if (found) return found;
    return this.keep(step, this.samples(step));
  }

  /** @param {number} [step] the newest if it is missing @returns {Promise<Picture[]>} */
  async samples(step) {
    const [{ samples }] = await Promise.all([call(...images(this.task, step)), loadPrefixes()]);
    return samples
      .filter((/** @type {any} */ sample) => sample.event)
      .map((/** @type {any} */ sample) => pictureOf(sample.event))
      .sort((/** @type {Picture} */ a, /** @type {Picture} */ b) => order(a.metric, b.metric) || order(a.variant, b.variant));
  }

  /** @param {number} step @param {Promise<Picture[]>} asked */
  keep(step, asked) {
    asked.catch(() => this.known.delete(step));
    this.known.set(step, asked);
    for (const old of this.known.keys()) {
      if (this.known.size <= KEPT_STEPS) break;
      this.known.delete(old);
    }
    return asked;
  }

  /** A variant's image at a step. @param {string} key @param {number} step @returns {Promise<Picture | null>} */
  async one(key, step) {
    return (await this.at(step)).find((picture) => picture.key === key) ?? null;
  }

  /** The steps of one variant, ascending. @param {string} key */
  stepsOf(key) {
    return this.byVariant.get(key) ?? [];
  }
}

/** Steps written as [first, last, distance]; distance 0: a single one. @param {[number, number, number][]} runs */
export function expand(runs) {
  const steps = [];
  for (const [first, last, distance] of runs) {
    steps.push(first);
    if (distance > 0) for (let step = first + distance; step <= last; step += distance) steps.push(step);
  }
  return steps;
}

const collator = new Intl.Collator("en", { numeric: true });
/** Natural order: "img 10" after "img 9". @param {string} a @param {string} b */
export const order = (a, b) => collator.compare(a, b);
