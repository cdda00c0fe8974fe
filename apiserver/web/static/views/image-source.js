// Which images a run has, by step, and which are shown at a step.
import { call } from "../core/api.js";
import { fileUrl } from "../core/files.js";

/** @typedef {{key: string, metric: string, variant: string, iter: number, url: string, stored: string, kind: "image" | "audio" | "video" | "other", timestamp: number}} Picture */

const STEPS_AT_ONCE = 50;
/** Steps that are read at first; older ones on demand. */
const FIRST_STEPS = 500;

const KINDS = /** @type {[RegExp, Picture["kind"]][]} */ ([
  [/\.(wav|mp3|ogg|oga|flac|m4a|aac)$/i, "audio"],
  [/\.(mp4|webm|ogv|mov|m4v)$/i, "video"],
  [/\.(html?|txt|json|csv|md|pdf|zip)$/i, "other"],
]);

/** @param {any} event @returns {Picture} */
function pictureOf(event) {
  const path = String(event.url ?? "").replace(/[?#].*$/, "");
  return {
    key: JSON.stringify([event.metric, event.variant]), metric: event.metric, variant: event.variant, iter: event.iter ?? 0, stored: event.url ?? "", url: fileUrl(event.url),
    kind: KINDS.find(([pattern]) => pattern.test(path))?.[1] ?? "image", timestamp: event.timestamp,
  };
}

export class ImageSource {
  /** @param {string} task */
  constructor(task) {
    this.task = task;
    /** @type {Map<number, Picture[]>} */
    this.byStep = new Map();
    /** @type {number[]} ascending */
    this.steps = [];
    this.scroll = "";
    this.complete = false;
  }

  /** Reads the newest steps. @param {AbortSignal} [signal] */
  async open(signal) {
    await this.older(FIRST_STEPS, signal);
    return this;
  }

  /** Reads `count` older steps. @param {number} count @param {AbortSignal} [signal] */
  async older(count, signal) {
    const before = this.byStep.size;
    while (!this.complete && this.byStep.size < before + count) {
      const answer = await call("events.debug_images", { metrics: [{ task: this.task }], iters: STEPS_AT_ONCE, navigate_earlier: true, scroll_id: this.scroll || undefined }, { signal });
      this.scroll = answer.scroll_id;
      const iterations = answer.metrics[0]?.iterations ?? [];
      for (const { iter, events } of iterations) this.byStep.set(iter, events.map(pictureOf));
      this.complete = iterations.length < STEPS_AT_ONCE;
    }
    this.steps = [...this.byStep.keys()].sort((a, b) => a - b);
  }

  /** Every variant's newest picture up to a step. @param {number} step @returns {Picture[]} */
  at(step) {
    /** @type {Map<string, Picture>} */
    const found = new Map();
    for (const iter of this.steps) {
      if (iter > step) break;
      for (const picture of this.byStep.get(iter) ?? []) found.set(picture.key, picture);
    }
    return [...found.values()].sort((a, b) => order(a.metric, b.metric) || order(a.variant, b.variant));
  }

  /** All steps of one variant, ascending. @param {string} key @returns {Picture[]} */
  of(key) {
    return this.steps.flatMap((iter) => (this.byStep.get(iter) ?? []).filter((picture) => picture.key === key));
  }
}

const collator = new Intl.Collator("en", { numeric: true });
/** "img 10" after "img 9". @param {string} a @param {string} b */
const order = (a, b) => collator.compare(a, b);
