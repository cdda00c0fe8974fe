// Numbers, times and sizes as people read them. "−" is the minus sign, a missing value is an empty text, NaN is "NaN".

const GROUPED = new Intl.NumberFormat("en-US", { maximumFractionDigits: 20 });
const MINUS = "\u2212";

/** @param {string} text */
const signed = (text) => text.replace(/-/g, MINUS);

/**
 * A number with `digits` significant digits: "0.04213", "1.204e−5", "1,204,992".
 * @param {number | null | undefined} value
 * @param {number} [digits]
 */
export function number(value, digits = 4) {
  if (value === null || value === undefined) return "";
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : `${MINUS}Inf`;
  if (value === 0) return "0";
  const size = Math.abs(Number(value.toPrecision(digits)));
  if (size >= 1e15 || size < 1e-4) return signed(value.toExponential(digits - 1).replace(/\.?0+e/, "e").replace("e+", "e"));
  if (size >= 10 ** (digits - 1)) return signed(GROUPED.format(Math.round(value)));
  return signed(GROUPED.format(Number(value.toPrecision(digits))));
}

/**
 * Every digit that the number has, for tooltips and for copying.
 * @param {number | null | undefined} value
 */
export function exact(value) {
  if (value === null || value === undefined) return "";
  if (Number.isNaN(value)) return "NaN";
  if (!Number.isFinite(value)) return value > 0 ? "+Inf" : `${MINUS}Inf`;
  return signed(String(value).replace("e+", "e"));
}

/**
 * A whole number with separators: "1,204,992".
 * @param {number | null | undefined} value
 */
export function integer(value) {
  return value === null || value === undefined ? "" : signed(GROUPED.format(Math.round(value)));
}

/**
 * A count with its noun: "1 point", "1,204 points".
 * @param {number} count
 * @param {string} noun
 * @param {string} [nouns]
 */
export function plural(count, noun, nouns = `${noun}s`) {
  return `${integer(count)} ${count === 1 ? noun : nouns}`;
}

/**
 * Steps on an axis: "8k", "1.2M".
 * @param {number} value
 */
export function short(value) {
  const size = Math.abs(value);
  if (size < 10_000) return number(value, 6);
  for (const [unit, letter] of /** @type {[number, string][]} */ ([[1e12, "T"], [1e9, "G"], [1e6, "M"], [1e3, "k"]])) {
    if (size >= unit) return size < 1e15 ? signed(`${Number((value / unit).toPrecision(6))}${letter}`) : number(value, 3);
  }
  return number(value);
}

/**
 * "412 MB"; decimal units.
 * @param {number | null | undefined} count
 */
export function bytes(count) {
  if (count === null || count === undefined) return "";
  const units = ["B", "kB", "MB", "GB", "TB", "PB"];
  let unit = 0;
  let size = Math.abs(count);
  while (size >= 999.5 && unit < units.length - 1) {
    size /= 1000;
    unit++;
  }
  return `${unit ? Number(size.toPrecision(3)) : size} ${units[unit]}`;
}

/**
 * A length of time with its two largest units: "41 s", "3 h 12 min", "2 d 4 h".
 * @param {number | null | undefined} ms
 * @returns {string}
 */
export function duration(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "";
  if (ms < 0) return MINUS + duration(-ms);
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${Number((ms / 1000).toFixed(1))} s`;
  const seconds = Math.round(ms / 1000);
  const parts = /** @type {[number, string][]} */ ([
    [Math.floor(seconds / 86400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "min"],
    [seconds % 60, "s"],
  ]);
  const first = parts.findIndex(([count]) => count > 0);
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(" ");
}

/**
 * How long ago: "12 min ago", "yesterday", "just now".
 * @param {number | null | undefined} at ms since the epoch
 * @param {number} [now]
 */
export function ago(at, now = Date.now()) {
  if (at === null || at === undefined || Number.isNaN(at)) return "";
  const seconds = (now - at) / 1000;
  if (seconds < 0) return stamp(at);
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${Math.round(seconds)} s ago`;
  if (seconds < 3570) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 86400) return `${Math.round(seconds / 3600)} h ago`;
  const days = Math.round(seconds / 86400);
  if (days === 1) return "yesterday";
  return days < 60 ? `${days} days ago` : day(at);
}

const pad = (/** @type {number} */ value, size = 2) => String(value).padStart(size, "0");

let isUtc = false;

/** Times are shown and read in UTC, or else in the reader's time zone. @param {boolean} wanted */
export function showUtc(wanted) {
  isUtc = wanted;
}

/** How far shown times are ahead of UTC, in ms. @param {number} at */
export const zoneOffset = (at) => (isUtc ? 0 : -60_000 * new Date(at).getTimezoneOffset());

/** A date whose UTC fields are those of the shown time. @param {number} at */
const shown = (at) => new Date(at + zoneOffset(at));

/** "2026-11-30". @param {number} at */
export function day(at) {
  const time = shown(at);
  return `${time.getUTCFullYear()}-${pad(time.getUTCMonth() + 1)}-${pad(time.getUTCDate())}`;
}

/** "12:04:31". @param {number} at */
export function clock(at) {
  const time = shown(at);
  return `${pad(time.getUTCHours())}:${pad(time.getUTCMinutes())}:${pad(time.getUTCSeconds())}`;
}

/** "12:04:31.204". @param {number} at */
export function clockMs(at) {
  return `${clock(at)}.${pad(new Date(at).getMilliseconds(), 3)}`;
}

/** "2026-11-30 12:04:31". @param {number | null | undefined} at */
export function stamp(at) {
  return at === null || at === undefined || Number.isNaN(at) ? "" : `${day(at)} ${clock(at)}`;
}

/** The same with the offset of the time zone, for tooltips. @param {number | null | undefined} at */
export function stampWithZone(at) {
  if (at === null || at === undefined || Number.isNaN(at)) return "";
  const offset = zoneOffset(at) / 60_000;
  const size = Math.abs(offset);
  return `${day(at)} ${clockMs(at)} UTC${offset < 0 ? MINUS : "+"}${pad(Math.floor(size / 60))}:${pad(size % 60)}`;
}

/**
 * A time of the API (ISO 8601, or ms) as ms; NaN for none.
 * @param {string | number | null | undefined} value
 */
export function ms(value) {
  if (typeof value === "number") return value;
  return value ? Date.parse(/[zZ]|[+-]\d\d:?\d\d$/.test(value) ? value : `${value}Z`) : NaN;
}

/**
 * A date or time that a reader wrote, as ms; without a zone it is one of those shown. NaN for none.
 * @param {string} text "2026-11-30", "2026-11-30T12:04"
 */
export function readTime(text) {
  const time = /^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00:00` : text;
  return Date.parse(isUtc && /T[\d:.]+$/.test(time) ? `${time}Z` : time);
}
