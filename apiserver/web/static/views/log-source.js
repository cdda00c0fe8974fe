// The log of a run by position: loads pages around the visible lines, never the whole log.
import { call } from "../core/api.js";
import { isProgress, overwritten } from "../core/ansi.js";
import { LOG_PAGE, logEnd } from "../core/first.js";

/** @typedef {{position: number, timestamp: number, level: string, msg: string, worker: string, progress: boolean, iter: number | null}} Line */

const PAGE = LOG_PAGE;
const KEPT_PAGES = 24;
/** Known lines that are read again with new ones: if they differ, a late line has shifted positions. */
const OVERLAP = 4;
const AHEAD = 12;
const RETRY_MS = 2_000;

/** @param {any} event @param {number} position @returns {Line} */
export function lineOf(event, position) {
  const msg = overwritten(String(event.msg ?? "")).replace(/\n$/, "");
  return { position, timestamp: event.timestamp, level: String(event.level ?? "").toLowerCase(), msg, worker: event.worker ?? "", progress: isProgress(msg), iter: event.iter ?? null };
}

export class LogSource {
  /**
   * @param {string} task
   * @param {() => void} changed called when pages or the total changed
   */
  constructor(task, changed) {
    this.task = task;
    this.changed = changed;
    this.total = -1;
    /** @type {Map<number, Line[]>} */
    this.pages = new Map();
    /** @type {Map<number, Promise<void>>} */
    this.loading = new Map();
    /** Outdated pages, shown until they are read again. @type {Set<number>} */
    this.stale = new Set();
    this.failedAt = -Infinity;
    /** @type {Error | null} */
    this.error = null;
    this.closed = false;
  }

  close() {
    this.closed = true;
  }

  /** Reads the length of the log and its last page, in one call. */
  async open() {
    const lines = await this.ask(...logEnd(this.task));
    if (!lines?.length || this.closed) return;
    const page = Math.floor((this.total - 1) / PAGE);
    this.pages.set(page, lines.filter((line) => line.position >= page * PAGE));
    this.changed();
  }

  /** The position of the first line at a time or after it (`from_timestamp` is exclusive); null when there is none. @param {number} time ms since the epoch */
  async positionAt(time) {
    try {
      const page = await call("events.get_task_log", { task: this.task, search: "^", search_regex: true, from_timestamp: time - 1, navigate_earlier: false, order: "asc", batch_size: 1 });
      return /** @type {number} */ (page.positions[0] ?? null);
    } catch (error) {
      this.error = /** @type {Error} */ (error);
      this.changed();
      return null;
    }
  }

  /** @param {number} position @returns {Line | undefined} */
  get(position) {
    return this.pages.get(Math.floor(position / PAGE))?.[position % PAGE];
  }

  /** Loads the pages of [from, to) that are missing. @param {number} from @param {number} to */
  need(from, to) {
    if (performance.now() - this.failedAt < RETRY_MS) return;
    const last = Math.floor((Math.min(to, this.total) - 1) / PAGE);
    for (let page = Math.max(0, Math.floor(from / PAGE)); page <= last; page++) {
      const known = this.pages.get(page);
      if (known) {
        this.pages.delete(page); // moves the page to the end: the map is an LRU
        this.pages.set(page, known);
      }
      if (!known || known.length < Math.min(PAGE, this.total - page * PAGE) || this.stale.has(page)) void this.load(page);
    }
  }

  /** @param {number} page */
  load(page) {
    let promise = this.loading.get(page);
    if (!promise) {
      promise = this.fetchPage(page).finally(() => this.loading.delete(page));
      this.loading.set(page, promise);
    }
    return promise;
  }

  /** @param {number} page */
  async fetchPage(page) {
    const lines = await this.fetchLines(page * PAGE, PAGE);
    if (!lines || this.closed) return;
    this.pages.set(page, lines);
    this.stale.delete(page);
    for (const old of this.pages.keys()) {
      if (this.pages.size <= KEPT_PAGES) break;
      if (old !== page) this.pages.delete(old);
    }
    this.changed();
  }

  /** @param {number} position @param {number} count @returns {Promise<Line[] | null>} */
  async fetchLines(position, count) {
    const lines = await this.ask("events.get_task_log_lines", { task: this.task, position, count });
    // At the end of the log the answer begins earlier than requested, to be full.
    return lines && lines.filter((line) => line.position >= position);
  }

  /** @param {string} endpoint @param {object} body @returns {Promise<Line[] | null>} */
  async ask(endpoint, body) {
    try {
      const answer = await call(endpoint, body);
      this.total = answer.total;
      this.error = null;
      return answer.events.map((/** @type {any} */ event, /** @type {number} */ i) => lineOf(event, answer.position + i));
    } catch (error) {
      this.error = /** @type {Error} */ (error);
      this.failedAt = performance.now();
      setTimeout(() => this.closed || this.changed(), RETRY_MS); // requests the visible lines again
      this.changed();
      return null;
    }
  }

  /** Reads new lines. */
  async refresh() {
    const before = this.total;
    if (before < 0) return this.open();
    const from = Math.max(0, before - OVERLAP);
    const lines = await this.fetchLines(from, before - from + AHEAD);
    if (!lines || this.closed) return undefined;
    const moved = this.total < before || lines.some((line) => line.position < before && !same(this.get(line.position), line));
    if (moved) this.stale = new Set(this.pages.keys());
    else {
      const next = from + lines.length;
      const more = this.total > next && this.total - next <= PAGE ? await this.fetchLines(next, this.total - next) : null;
      for (const line of [...lines, ...(more ?? [])]) this.append(line);
    }
    return moved || this.total !== before ? this.changed() : undefined;
  }

  /** Adds a line to its page, if it is the next one there. @param {Line} line */
  append(line) {
    const at = Math.floor(line.position / PAGE);
    const page = this.pages.get(at) ?? [];
    if (page.length !== line.position % PAGE) return;
    page.push(line);
    this.pages.set(at, page);
  }
}

/** Whether a known line equals this one; true for an unknown line. @param {Line | undefined} known @param {Line} line */
function same(known, line) {
  return !known || (known.timestamp === line.timestamp && known.msg === line.msg);
}
