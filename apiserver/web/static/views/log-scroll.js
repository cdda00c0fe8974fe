// Scrolling through millions of lines: the scroll bar is mapped to positions in the log, the window shows rows from a position on.
import { useEffect, useReducer, useRef } from "../vendor/hooks.js";
import { FOLD_FROM } from "../core/ansi.js";

/** @typedef {import("./log-source.js").LogSource} LogSource */
/** @typedef {{position: number, end: number, line?: import("./log-source.js").Line, fold: number, group: number}} Row `end`: the position behind it */

/** Height of an unwrapped line in px. */
export const ROW = 20;
/** Most px of the scrolled element: browsers' limits are 16 to 33 million. */
const MOST_SPACE = 8_000_000;
/** Most folded lines that are passed to fill a window. */
const FOLD_LIMIT = 2_500;

/**
 * Rows from a position on. Lines that are not loaded are requested and shown as empty rows.
 * @param {LogSource} source @param {number} from @param {number} count @param {Set<number>} unfolded
 * @returns {Row[]}
 */
export function rowsFrom(source, from, count, unfolded) {
  /** @type {Row[]} */
  const rows = [];
  const total = Math.max(0, source.total);
  source.need(from, Math.min(total, from + count + 1));
  for (let position = Math.max(0, from); position < total && rows.length < count; ) {
    const line = source.get(position);
    if (!line?.progress) {
      rows.push({ position, end: position + 1, line, fold: 0, group: position });
      position++;
      continue;
    }
    let end = position;
    while (end < total && end - position < FOLD_LIMIT && source.get(end)?.progress) end++;
    if (end < total && end - position < FOLD_LIMIT && !source.get(end)) source.need(end, end + 1);
    const open = [...unfolded].some((group) => group >= position - FOLD_LIMIT && group < end);
    if (end - position < FOLD_FROM || open) {
      for (; position < end && rows.length < count; position++) rows.push({ position, end: position + 1, line: source.get(position), fold: 0, group: position });
      continue;
    }
    // The last line of a progress bar stays: it shows how the bar ended.
    rows.push({ position, end: end - 1, fold: end - 1 - position, group: position });
    rows.push({ position: end - 1, end, line: source.get(end - 1), fold: 0, group: end - 1 });
    position = end;
  }
  return rows;
}

/**
 * Rows up to a position, for the end of the log.
 * @param {LogSource} source @param {number} end @param {number} count @param {Set<number>} unfolded
 * @returns {Row[]}
 */
export function rowsUpTo(source, end, count, unfolded) {
  let from = Math.max(0, end - count);
  for (;;) {
    const rows = rowsFrom(source, from, end - from, unfolded);
    if (rows.length >= count || from === 0 || end - from > FOLD_LIMIT) return rows.slice(-count);
    from = Math.max(0, from - count);
  }
}

/**
 * @param {LogSource} source
 * @param {{current: HTMLElement | null}} box
 */
export function useLogScroll(source, box) {
  const [, again] = useReducer((n) => n + 1, 0);
  const state = useRef({ top: 0, offset: 0, atEnd: true, follow: true, height: 600, expected: -1 });
  const now = state.current;
  // Functions, because the log grows between two renderings.
  const lines = () => Math.max(0, source.total);
  const spaceNow = () => Math.min(MOST_SPACE, Math.max(lines() * ROW, now.height));
  const isScaled = () => lines() * ROW > MOST_SPACE;
  const perPixel = () => (isScaled() ? lines() / (spaceNow() - now.height) : 1 / ROW);

  const put = (/** @type {number} */ scrollTop) => {
    const element = box.current;
    if (!element) return;
    element.scrollTop = scrollTop;
    now.expected = element.scrollTop;
  };
  const set = (/** @type {number} */ exact) => {
    const most = Math.max(0, lines() - Math.floor(now.height / ROW));
    const top = Math.min(most, Math.max(0, exact));
    now.atEnd = exact >= most;
    now.follow = now.atEnd && exact > top - 1 && now.follow;
    now.top = Math.floor(top);
    now.offset = isScaled() ? 0 : (top - now.top) * ROW;
    again(0);
  };
  const scroll = {
    ...now,
    space: spaceNow(),
    /** Handles the scroll bar. */
    onScroll: () => {
      const element = box.current;
      if (!element || Math.abs(element.scrollTop - now.expected) < 1) return;
      now.expected = -1;
      const bottom = element.scrollTop >= spaceNow() - now.height - 2;
      if (bottom) scroll.toEnd(false);
      else {
        now.follow = false;
        set(element.scrollTop * perPixel());
      }
    },
    /** Shows a position, a third from the top. @param {number} position @param {number} [above] lines above it */
    goTo: (position, above = Math.floor(now.height / ROW / 3)) => {
      now.follow = false;
      const top = Math.max(0, position - above);
      set(top);
      requestAnimationFrame(() => put(now.atEnd ? spaceNow() : top / perPixel())); // after the scroll bar has its new length
    },
    /** Moves by lines. @param {number} count */
    by: (count) => {
      if (count < 0) now.follow = false;
      const most = Math.max(0, lines() - Math.floor(now.height / ROW));
      const from = now.atEnd ? most : now.top;
      if (count > 0 && from + count >= most) scroll.toEnd();
      else {
        set(from + count);
        put(now.top / perPixel());
      }
    },
    /** Goes to the end and stays there. @param {boolean} [move] */
    toEnd: (move = true) => {
      now.atEnd = true;
      now.follow = true;
      now.top = Math.max(0, source.total - Math.floor(now.height / ROW));
      now.offset = 0;
      if (move) requestAnimationFrame(() => put(box.current?.scrollHeight ?? 0));
      again(0);
    },
    stop: () => {
      now.follow = false;
      again(0);
    },
    /** Updates the window's size and the position of the scroll bar. */
    measure: () => {
      const element = box.current;
      if (!element) return;
      if (now.height !== element.clientHeight && element.clientHeight) {
        now.height = element.clientHeight;
        again(0);
      }
      if (now.follow) put(element.scrollHeight);
    },
  };
  const latest = useRef(scroll);
  latest.current = scroll;
  const scaled = useRef(isScaled);
  scaled.current = isScaled;
  useEffect(() => {
    const element = box.current;
    if (!element) return undefined;
    const observer = new ResizeObserver(() => latest.current.measure());
    observer.observe(element);
    const wheel = (/** @type {WheelEvent} */ event) => {
      if (event.deltaY < 0) now.follow = false;
      // A pixel of a scaled scroll bar is many lines, but the wheel must scroll by lines.
      if (!scaled.current() || event.ctrlKey || event.shiftKey) return;
      event.preventDefault();
      const pixels = event.deltaMode === 1 ? event.deltaY * ROW : event.deltaY;
      latest.current.by(Math.sign(pixels) * Math.max(1, Math.round(Math.abs(pixels) / ROW)));
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => {
      observer.disconnect();
      element.removeEventListener("wheel", wheel);
    };
  }, []);
  return scroll;
}
