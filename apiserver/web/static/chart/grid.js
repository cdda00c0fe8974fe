// A virtual grid of cards: only those near the window are rendered. It scrolls with the page.
import { useEffect, useLayoutEffect, useRef, useState } from "../vendor/hooks.js";
import { div, h2, span } from "../ui/html.js";
import { integer } from "../core/format.js";

/**
 * @typedef {object} CardSpec
 * @property {string} id
 * @property {string} title
 * @property {string} group
 * @property {string[]} variants
 * @property {import("./source.js").Wanted[]} wanted
 * @property {(one: import("./source.js").Loaded) => {name: string, pick: number}} [label]
 */
/** @typedef {{key: string, top: number, height: number, head?: string, count?: number, cards?: CardSpec[]}} Row */

const HEAD = 38;
const GAP = 12;
/** Cards are rendered up to this many px outside of the window. */
const AROUND = 250;
/** Faster scrolling (px per ms) shows titles only, until it has rested for the given ms. */
const FAST = 3;
const REST_MS = 80;
/** Two scroll events this far apart are no longer one movement. */
const APART_MS = 150;
/** After a jump to a card, scroll events within this time are not the user's. */
const JUMP_MS = 300;

/**
 * Rows of a grid: a heading for each group, then its cards. Pinned cards come first.
 * @param {CardSpec[]} cards
 * @param {Set<string>} pinned
 * @param {number} columns
 * @param {number} height of a card
 * @returns {Row[]}
 */
export function layout(cards, pinned, columns, height) {
  /** @type {Map<string, CardSpec[]>} */
  const groups = new Map([["\u2605", cards.filter((card) => pinned.has(card.id))], ["", []]]);
  /** @type {Map<string, number>} */
  const sizes = new Map();
  for (const card of cards) sizes.set(card.group, (sizes.get(card.group) ?? 0) + 1);
  for (const card of cards) {
    if (pinned.has(card.id)) continue;
    // Groups that don't fill two rows get no heading.
    const group = (sizes.get(card.group) ?? 0) > 2 * columns ? card.group : "";
    const members = groups.get(group);
    if (members) members.push(card);
    else groups.set(group, [card]);
  }
  /** @type {Row[]} */
  const rows = [];
  let top = 0;
  for (const [group, members] of groups) {
    if (!members.length) continue;
    if (group) {
      rows.push({ key: `head ${group}`, top, height: HEAD, head: group === "\u2605" ? "Pinned" : group, count: members.length });
      top += HEAD;
    }
    for (let i = 0; i < members.length; i += columns) {
      const part = members.slice(i, i + columns);
      rows.push({ key: part[0].id, top, height: height + GAP, cards: part });
      top += height + GAP;
    }
  }
  return rows;
}

/**
 * @param {{rows: Row[], columns: number, height: number, render: (card: CardSpec) => any, goal?: {id: string, n: number}}} props `goal`: the card to scroll to and focus
 */
export function VirtualGrid({ rows, columns, height, render, goal }) {
  const root = useRef(/** @type {HTMLElement | null} */ (null));
  const [view, setView] = useState({ from: 0, to: innerHeight, fast: false });
  const moved = useRef({ top: 0, at: 0 });
  const jumped = useRef(-Infinity);
  /** Rows with rendered cards. */
  const whole = useRef(/** @type {Set<string>} */ (new Set()));
  useLayoutEffect(() => {
    let frame = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let rest;
    const measure = () => {
      frame = 0;
      clearTimeout(rest);
      const top = root.current?.getBoundingClientRect().top ?? 0;
      const now = performance.now();
      const took = now - moved.current.at;
      const fast = took < APART_MS && Math.abs(top - moved.current.top) > FAST * took && now - jumped.current > JUMP_MS;
      moved.current = { top, at: now };
      if (fast) rest = setTimeout(measure, REST_MS);
      setView({ from: -top - AROUND, to: -top + innerHeight + AROUND, fast });
    };
    const later = () => {
      frame ||= requestAnimationFrame(measure);
    };
    measure();
    addEventListener("scroll", later, { passive: true });
    addEventListener("resize", later);
    return () => {
      cancelAnimationFrame(frame);
      clearTimeout(rest);
      removeEventListener("scroll", later);
      removeEventListener("resize", later);
    };
  }, [rows]);
  useEffect(() => {
    if (!goal?.id) return;
    jumped.current = performance.now();
    const row = rows.find((one) => one.cards?.some((card) => card.id === goal.id));
    if (!row || !root.current) return;
    const top = root.current.getBoundingClientRect().top + scrollY + row.top;
    if (top < scrollY + 60 || top + row.height > scrollY + innerHeight) scrollTo({ top: top - 110 });
    requestAnimationFrame(() => requestAnimationFrame(() => {
      const cards = /** @type {NodeListOf<HTMLElement>} */ (root.current?.querySelectorAll("[data-card]") ?? []);
      [...cards].find((card) => card.dataset.card === goal.id)?.focus({ preventScroll: true });
    }));
  }, [goal]);
  const last = rows[rows.length - 1];
  const shown = rows.filter((row) => row.top + row.height > view.from && row.top < view.to);
  whole.current = new Set(shown.map((row) => row.key).filter((key) => !view.fast || whole.current.has(key)));
  return div(
    { class: "grid-space", ref: root, style: { height: `${last ? last.top + last.height : 0}px` } },
    shown.map((row) =>
      row.cards
        ? div({ key: row.key, class: "grid-row", style: { top: `${row.top}px`, height: `${height}px`, gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))` } }, row.cards.map(whole.current.has(row.key) ? render : title))
        : div({ key: row.key, class: "grid-head", style: { top: `${row.top}px` } }, h2(row.head), span({ class: "muted" }, integer(row.count))),
    ),
  );
}

/** The placeholder for a card during fast scrolling. @param {CardSpec} card */
function title(card) {
  return div({ key: card.id, class: "chart-card" }, h2({ class: "truncate" }, card.title));
}
