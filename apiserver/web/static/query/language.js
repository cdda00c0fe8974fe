// The filter language of the runs table: text -> terms. `query/compile.js` turns terms into fields of tasks.get_all_ex.
//
//   status:running,failed  tag:baseline  -tag:old  lr<0.01  val/loss.min<0.5  name~"^resnet"  started>-7d  iter>=1000  "free text"

import { readTime } from "../core/format.js";

/**
 * @typedef {{kind: "text", text: string, from: number, to: number}} TextTerm
 * @typedef {{kind: "list", field: string, values: string[], negate: boolean, from: number, to: number}} ListTerm
 * @typedef {{kind: "range", field: string, op: string, value: string, from: number, to: number}} RangeTerm
 * @typedef {{kind: "match", field: string, pattern: string, from: number, to: number}} MatchTerm
 * @typedef {TextTerm | ListTerm | RangeTerm | MatchTerm} Term
 * @typedef {{from: number, to: number, message: string}} Mistake
 */

/** Fields of a run and the operators they take, by name in the language. */
export const FIELDS = /** @type {Record<string, {takes: "list" | "number" | "time" | "text", does: string}>} */ ({
  status: { takes: "list", does: "running, completed, failed, stopped, …" },
  tag: { takes: "list", does: "tags of the run" },
  project: { takes: "list", does: "a project with its subprojects" },
  type: { takes: "list", does: "training, testing, …" },
  user: { takes: "list", does: "name of the user" },
  id: { takes: "list", does: "id of the run" },
  is: { takes: "list", does: "archived" },
  name: { takes: "text", does: "name~pattern (RE2)" },
  comment: { takes: "text", does: "comment~pattern (RE2)" },
  iter: { takes: "number", does: "last iteration" },
  started: { takes: "time", does: "-7d, 2026-11-30" },
  ended: { takes: "time", does: "-7d, 2026-11-30" },
  updated: { takes: "time", does: "-10m, 2026-11-30" },
});

/** Statuses by their names in the page. */
export const STATUSES = /** @type {Record<string, string>} */ ({
  running: "in_progress",
  completed: "completed",
  failed: "failed",
  stopped: "stopped",
  created: "created",
  queued: "queued",
  closed: "closed",
  published: "published",
});

/** A status by its name in the language. @param {string} status as the server names it */
export const wordOf = (status) => Object.keys(STATUSES).find((word) => STATUSES[word] === status) ?? status;

/** Statistics of a series by name in the language: the field of last_metrics. */
export const STATISTICS = /** @type {Record<string, string>} */ ({
  last: "value",
  min: "min_value",
  max: "max_value",
  mean: "mean_value",
  first: "first_value",
  count: "count",
});

const PREFIXES = new Set(["hp", ...Object.keys(STATISTICS)]);
const OPERATORS = ["<=", ">=", "!=", "<", ">", "=", "~", ":"];

/**
 * The terms of a text, or its first error. Never throws.
 * @param {string} text
 * @returns {{terms: Term[], mistake: Mistake | null}}
 */
export function parse(text) {
  const reader = new Reader(text);
  /** @type {Term[]} */
  const terms = [];
  try {
    for (;;) {
      reader.blanks();
      if (reader.ended) return { terms, mistake: null };
      terms.push(term(reader));
    }
  } catch (error) {
    if (error instanceof LanguageError) return { terms, mistake: error.mistake };
    throw error;
  }
}

export class LanguageError extends Error {
  /** @param {number} from @param {number} to @param {string} message */
  constructor(from, to, message) {
    super(message);
    this.mistake = { from, to: Math.max(to, from + 1), message };
  }
}

/**
 * @param {Reader} reader
 * @returns {Term}
 */
function term(reader) {
  const from = reader.at;
  const negate = reader.peek() === "-" && /[\p{L}_"]/u.test(reader.text[reader.at + 1] ?? "");
  if (negate) reader.at += 1;
  const name = reader.name();
  const op = OPERATORS.find((one) => reader.text.startsWith(one, reader.at));
  if (!op) {
    if (negate) throw new LanguageError(from, reader.at, 'a "-" stands before a list, such as -tag:old');
    return { kind: "text", text: name.text, from, to: reader.at };
  }
  if (name.text === "") throw new LanguageError(reader.at, reader.at + op.length, `expected a name before "${op}"`);
  reader.at += op.length;
  const field = name.text;
  if (op === ":" || ((op === "=" || op === "!=") && takes(field) !== "number")) {
    const values = reader.list(field);
    return { kind: "list", field, values, negate: negate !== (op === "!="), from, to: reader.at };
  }
  if (negate) throw new LanguageError(from, from + 1, `"-" goes with a list (-${field}:value), not with "${op}"`);
  const value = reader.value(`a value after "${field}${op}"`);
  if (op === "~") return { kind: "match", field, pattern: value, from, to: reader.at };
  const wants = takes(field);
  if (wants === "number" && !isNumber(value)) throw new LanguageError(reader.at - value.length, reader.at, `"${field}" is compared with a number, got "${value}"`);
  if (wants === "time" && timeOf(value, 0) === null) {
    throw new LanguageError(reader.at - value.length, reader.at, `"${field}" is compared with a time such as -7d, -12h or 2026-11-30, got "${value}"`);
  }
  if (wants === "list" || wants === "text") throw new LanguageError(from, reader.at, `"${field}" takes ${wants === "list" ? `a list: ${field}:value` : `a pattern: ${field}~"text"`}`);
  return { kind: "range", field, op, value, from, to: reader.at };
}

/**
 * The type of values that a field takes; "number" for statistics, "any" for parameters.
 * @param {string} field
 */
export function takes(field) {
  return FIELDS[field]?.takes ?? (statisticOf(field) ? "number" : "any");
}

/** @param {string} value */
export function isNumber(value) {
  return value.trim() !== "" && Number.isFinite(Number(value));
}

/**
 * `val/loss.min` or `min:val/loss` as {series, statistic}; null for anything else.
 * @param {string} field
 */
export function statisticOf(field) {
  const before = field.match(/^(last|min|max|mean|first|count):(.+)$/s);
  if (before?.[1] && before[2]) return { series: before[2], statistic: before[1] };
  const after = field.match(/^(.+)\.(last|min|max|mean|first|count)$/s);
  if (after?.[1] && after[2] && !field.startsWith("hp:")) return { series: after[1], statistic: after[2] };
  return null;
}

const UNITS = /** @type {Record<string, number>} */ ({ s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 });

/**
 * A time in ms since the epoch from "-7d" (before `now`), "2026-11-30" or ISO 8601; null for anything else.
 * @param {string} value
 * @param {number} now
 */
export function timeOf(value, now) {
  const back = value.match(/^-(\d+(?:\.\d+)?)([smhdw])$/);
  if (back?.[1] && back[2]) return now - Number(back[1]) * (UNITS[back[2]] ?? 0);
  if (!/^\d{4}-\d\d(-\d\d)?/.test(value)) return null;
  const parsed = readTime(value);
  return Number.isNaN(parsed) ? null : parsed;
}

/**
 * A value in the syntax of the language, quoted if needed.
 * @param {string} value
 */
export function quote(value) {
  return value !== "" && /^[^\s",:<>=!~]+$/.test(value) ? value : `"${value.replace(/["\\]/g, "\\$&")}"`;
}

/** A name in the syntax of the language, for use before an operator. @param {string} name */
export function quoteName(name) {
  return /^[^\s"<>=!~]+$/.test(name) ? name : `"${name.replace(/["\\]/g, "\\$&")}"`;
}

/** A normal form of a term, equal for all its spellings. @param {Term | undefined} term */
function meaning(term) {
  return JSON.stringify(term, (key, value) => (key === "from" || key === "to" ? undefined : value));
}

/**
 * The part of a filter that is equivalent to a term; undefined if there is none.
 * @param {string} text @param {string} wanted one term
 */
export function termLike(text, wanted) {
  const same = meaning(parse(wanted).terms[0]);
  return parse(text).terms.find((one) => meaning(one) === same);
}

/** A filter without one of its terms. @param {string} text @param {{from: number, to: number}} term */
export function without(text, term) {
  return `${text.slice(0, term.from).trimEnd()} ${text.slice(term.to).trimStart()}`.trim();
}

/** A filter with a term added, or removed if it is there. @param {string} text @param {string} wanted one term */
export function toggled(text, wanted) {
  const found = termLike(text, wanted);
  return found ? without(text, found) : `${text} ${wanted}`.trim();
}

class Reader {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
    this.at = 0;
  }

  get ended() {
    return this.at >= this.text.length;
  }

  peek() {
    return this.text[this.at] ?? "";
  }

  blanks() {
    while (/\s/.test(this.peek())) this.at += 1;
  }

  /** Reads up to a blank or an operator; quoted parts may contain anything. */
  name() {
    let text = "";
    let quoted = false;
    while (!this.ended) {
      const sign = this.peek();
      if (sign === '"') {
        text += this.quoted();
        quoted = true;
      } else if (/\s/.test(sign)) break;
      else if (sign === ":" && PREFIXES.has(text) && !quoted) text += this.take();
      else if (OPERATORS.some((one) => this.text.startsWith(one, this.at))) break;
      else text += this.take();
    }
    return { text, quoted };
  }

  take() {
    this.at += 1;
    return this.text[this.at - 1] ?? "";
  }

  quoted() {
    const from = this.at;
    this.at += 1;
    let text = "";
    for (;;) {
      if (this.ended) throw new LanguageError(from, this.at, 'the closing " is missing');
      const sign = this.take();
      if (sign === '"') return text;
      text += sign === "\\" && /["\\]/.test(this.peek()) ? this.take() : sign;
    }
  }

  /**
   * Reads a value: quoted, or up to a blank (in a list also up to a comma).
   * @param {string} expected
   * @param {RegExp} [end]
   */
  value(expected, end = /\s/) {
    const from = this.at;
    if (this.peek() === '"') return this.quoted();
    let text = "";
    while (!this.ended && !end.test(this.peek())) text += this.take();
    if (text === "") throw new LanguageError(from, from + 1, `expected ${expected}`);
    return text;
  }

  /** @param {string} field */
  list(field) {
    const values = [this.value(`a value after "${field}:"`, /[\s,]/)];
    while (this.peek() === ",") {
      this.at += 1;
      values.push(this.value("a value after the comma", /[\s,]/));
    }
    return values;
  }
}
