// Data of charts: fetches all series on screen in one call, keeps them while they are shown, and adds the points that arrive.
import { callColumns } from "../core/api.js";
import { readColumns } from "../core/columns.js";
import { mergeBuckets, nearest, replaceBuckets } from "./buckets.js";

/** @typedef {import("./buckets.js").Buckets} Buckets */
/**
 * @typedef {object} Loaded
 * @property {string} task
 * @property {string} metric
 * @property {string} variant
 * @property {number} points      of the range
 * @property {number | null} firstNan
 * @property {[number, number][]} rewinds  stretches of steps that were reported twice
 * @property {number} origin      ms since the epoch where a relative x is 0
 * @property {string} xLabel
 * @property {number | null} lastX  the greatest x of the range
 * @property {Buckets} buckets
 * @property {string} [rewoundOf]  the variant whose void points these are; missing: points that count
 */
/** @typedef {{task: string, metric: string, variants?: string[]}} Wanted */
/** @typedef {{axis: "iter" | "timestamp" | "relative", range: [number, number] | null, buckets: number, rewound?: boolean}} Cut `rewound`: void points are shown too */

/** Least ms between two requests for cards. */
const APART_MS = 80;

/** A key for a series. @param {string} task @param {string} metric @param {string} variant */
export const seriesKey = (task, metric, variant) => JSON.stringify([task, metric, variant]);

/**
 * @param {any} found a series of events.get_series
 * @param {Cut["axis"]} axis
 * @param {boolean} [rewound]
 * @returns {Loaded}
 */
function decoded(found, axis, rewound) {
  const { columns } = found;
  const n = found.n ?? columns.x.length;
  const origin = found.origin ?? 0;
  const count = Float64Array.from(columns.count);
  const own = axis === "iter" ? columns.iter : columns.time;
  const shift = axis === "iter" ? 0 : origin;
  // Series may share a column of the answer, so x is copied before it is changed.
  const x = new Float64Array(columns.x);
  for (let i = 0; i < n; i++) if (count[i] === 1) x[i] = own[i] - shift;
  const nan = kinds(columns.nan, n);
  const posInf = kinds(columns.pos_inf, n);
  const negInf = kinds(columns.neg_inf, n);
  if (columns.nan) for (let i = 0; i < n; i++) count[i] -= nan[i] + posInf[i] + negInf[i];
  return {
    task: found.task, metric: found.metric,
    ...(rewound ? { variant: `${found.variant || found.metric} (rewound)`, rewoundOf: found.variant } : { variant: found.variant }), points: found.points, firstNan: found.first_nan ?? null,
    rewinds: found.rewinds ?? [], origin, xLabel: found.x_axis_label ?? "",
    lastX: found.last_x === null || found.last_x === undefined ? null : Number(found.last_x),
    buckets: { x, mean: columns.mean, min: columns.min, max: columns.max, count, time: columns.time, step: columns.iter, nan, posInf, negInf, width: found.interval },
  };
}

/** A column of counts of non-finite values; the server omits columns of zeros. @param {ArrayLike<number> | undefined} column @param {number} n */
function kinds(column, n) {
  return column ? Float64Array.from(column) : new Float64Array(n);
}

/**
 * @param {Wanted[]} series
 * @param {Cut} cut
 * @param {{signal?: AbortSignal, since?: string, rewound?: boolean}} [options] `rewound`: void points only
 * @returns {Promise<{seq: string, series: Loaded[]}>}
 */
export async function fetchSeries(series, cut, { signal, since, rewound } = {}) {
  const body = {
    series,
    axis: cut.axis,
    buckets: cut.buckets,
    ...(cut.range ? { x_min: Math.floor(cut.range[0]), x_max: Math.ceil(cut.range[1]) } : {}),
    ...(since ? { since_seq: since } : {}),
    ...(rewound ? { rewound } : {}),
  };
  const answer = readColumns(await callColumns("events.get_series", body, { signal }));
  return { seq: String(answer.seq), series: answer.series.map((found) => decoded(found, cut.axis, rewound)) };
}

/**
 * The series of the cards on screen. Each card calls `want`; calls within a frame become one request.
 */
export class SeriesSource {
  constructor() {
    /** @type {Map<object, {card: object, wanted: Wanted[], cut: Cut, done: (loaded: Loaded[]) => void, failed: (error: Error) => void, seq: string, loaded: Loaded[], control: AbortController | null}>} */
    this.cards = new Map();
    /** @type {Set<object>} */
    this.waiting = new Set();
    this.scheduled = false;
    this.sentAt = -Infinity;
    this.updating = false;
  }

  /**
   * Sets the series that a card shows.
   * @param {object} card
   * @param {Wanted[]} wanted
   * @param {Cut} cut
   * @param {(loaded: Loaded[]) => void} done
   * @param {(error: Error) => void} failed
   */
  want(card, wanted, cut, done, failed) {
    const old = this.cards.get(card);
    old?.control?.abort();
    this.cards.set(card, { card, wanted, cut, done, failed, seq: "", loaded: [], control: null });
    this.waiting.add(card);
    if (this.scheduled) return;
    this.scheduled = true;
    const send = () => {
      this.scheduled = false;
      this.sentAt = performance.now();
      this.send();
    };
    // Rows of cards that appear shortly after each other share a request.
    const wait = this.sentAt + APART_MS - performance.now();
    if (wait > 0) setTimeout(send, wait);
    else queueMicrotask(send);
  }

  /** The time at an x of what is shown, ms since the epoch. @param {number} x @param {boolean} isTime */
  timeAt(x, isTime) {
    if (isTime) return x;
    for (const { loaded } of this.cards.values()) {
      for (const { buckets } of loaded) {
        const i = nearest(buckets.x, x);
        if (i >= 0) return buckets.time[i];
      }
    }
    return null;
  }

  /** The card is no longer on screen. @param {object} card */
  leave(card) {
    this.cards.get(card)?.control?.abort();
    this.cards.delete(card);
    this.waiting.delete(card);
  }

  send() {
    /** @type {Map<string, object[]>} */
    const groups = new Map();
    for (const card of this.waiting) {
      const entry = this.cards.get(card);
      if (!entry) continue;
      const kind = JSON.stringify(entry.cut);
      groups.set(kind, [...(groups.get(kind) ?? []), card]);
    }
    this.waiting.clear();
    for (const cards of groups.values()) void this.request(cards);
  }

  /** @param {object[]} cards all with the same cut */
  async request(cards) {
    const control = new AbortController();
    const entries = cards.map((card) => this.cards.get(card)).filter((entry) => entry !== undefined);
    for (const entry of entries) entry.control = control;
    try {
      const wanted = merged(entries.flatMap((entry) => entry.wanted));
      const { cut } = entries[0];
      const [{ seq, series }, gone] = await Promise.all([fetchSeries(wanted, cut), cut.rewound ? fetchSeries(wanted, cut, { rewound: true }) : null]);
      if (gone) series.push(...gone.series);
      for (const entry of entries) {
        if (entry.control !== control) continue;
        entry.seq = seq;
        entry.control = null;
        entry.loaded = series.filter((one) => isWanted(entry.wanted, one));
        entry.done(entry.loaded);
      }
    } catch (error) {
      for (const entry of entries) if (entry.control === control) entry.failed(/** @type {Error} */ (error));
    }
  }

  /** Fetches what arrived since the last answer for everything on screen. */
  async update() {
    if (this.updating) return;
    this.updating = true;
    try {
      /** @type {Map<string, any[]>} */
      const groups = new Map();
      for (const entry of this.cards.values()) {
        if (!entry.seq || entry.control) continue;
        const kind = JSON.stringify([entry.cut, entry.seq]);
        groups.set(kind, [...(groups.get(kind) ?? []), entry]);
      }
      for (const entries of groups.values()) {
        const { seq, series } = await fetchSeries(merged(entries.flatMap((entry) => entry.wanted)), entries[0].cut, { since: entries[0].seq });
        for (const entry of entries) {
          if (entry.control) continue;
          entry.seq = seq;
          const late = series.filter((one) => isWanted(entry.wanted, one));
          if (!late.length) continue;
          if (entry.cut.axis !== "iter" && late.some((one) => one.buckets.width !== entry.loaded[0]?.buckets.width)) {
            // Clock-like widths don't divide each other: these buckets can't be merged from the old ones.
            this.want(entry.card, entry.wanted, entry.cut, entry.done, entry.failed);
            continue;
          }
          if (late.some((one) => isRewound(entry.loaded, one))) {
            this.want(entry.card, entry.wanted, entry.cut, entry.done, entry.failed);
            continue;
          }
          entry.loaded = withLate(entry.loaded, late);
          entry.done(entry.loaded);
        }
      }
    } finally {
      this.updating = false;
    }
  }
}

/**
 * @param {Loaded[]} old
 * @param {Loaded[]} late
 * @returns {Loaded[]}
 */
function withLate(old, late) {
  const known = new Map(old.map((one) => [seriesKey(one.task, one.metric, one.variant), one]));
  for (const fresh of late) {
    const key = seriesKey(fresh.task, fresh.metric, fresh.variant);
    const before = known.get(key);
    if (!before) {
      known.set(key, fresh);
      continue;
    }
    const { width } = fresh.buckets;
    const grown = width > before.buckets.width ? mergeBuckets(before.buckets, width) : before.buckets;
    const buckets = replaceBuckets(grown, fresh.buckets);
    known.set(key, {
      ...before, ...fresh, buckets, points: total(buckets), rewinds: before.rewinds,
      firstNan: before.firstNan ?? fresh.firstNan,
    });
  }
  return [...known.values()].sort((a, b) => compare(a.task, b.task) || compare(a.metric, b.metric) || compare(a.variant, b.variant));
}

/** Whether the shown points extend beyond the end of the series, because the run was rewound. @param {Loaded[]} shown @param {Loaded} late */
function isRewound(shown, late) {
  const before = shown.find((one) => seriesKey(one.task, one.metric, one.variant) === seriesKey(late.task, late.metric, late.variant));
  const x = before?.buckets.x ?? [];
  return late.lastX !== null && x.length > 0 && x[x.length - 1] > late.lastX;
}

/** @param {string} a @param {string} b */
const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);

/** @param {Buckets} buckets */
function total({ count, nan, posInf, negInf }) {
  let sum = 0;
  for (let i = 0; i < count.length; i++) sum += count[i] + nan[i] + posInf[i] + negInf[i];
  return sum;
}

/** @param {Wanted[]} wanted @param {Loaded} one */
function isWanted(wanted, one) {
  return wanted.some((want) => want.task === one.task && want.metric === one.metric && (!want.variants?.length || want.variants.includes(one.rewoundOf ?? one.variant)));
}

/** One entry per task and metric. @param {Wanted[]} all @returns {Wanted[]} */
function merged(all) {
  /** @type {Map<string, Wanted>} */
  const entries = new Map();
  for (const { task, metric, variants = [] } of all) {
    const key = JSON.stringify([task, metric]);
    const known = entries.get(key);
    if (!known) entries.set(key, { task, metric, variants: [...variants] });
    else if (!variants.length || !known.variants?.length) known.variants = [];
    else known.variants = [...new Set([...known.variants, ...variants])];
  }
  return [...entries.values()];
}
