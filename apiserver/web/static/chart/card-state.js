// What a reader changed in cards, as the address has it: `robust` ranges, `box` zooms, lines that are `off`, the card in `full` size, the cursor, and the card at
// which the reader is.
import { useEffect, useMemo, useState } from "../vendor/hooks.js";
import { signal } from "../vendor/signals.js";
import { readEntries, readNames, writeEntries, writeNames } from "../core/lists.js";
import { param, place, setParams } from "../core/url.js";
import { useMoving, usePosition, useSignal } from "../ui/hooks.js";

/** @typedef {{x: number, key: string, card: string} | null} Cursor */

/** The card of a cursor that stays. */
export const FIXED = "link";

/** @param {string[] | undefined} parts @returns {[number, number] | null} */
function pair(parts) {
  const [low, high] = parts ?? [];
  const range = /** @type {[number, number]} */ ([Number(low), Number(high)]);
  return low !== undefined && high !== undefined && range[0] < range[1] && Number.isFinite(range[1] - range[0]) ? range : null;
}

/** @param {string} parameter @param {string} card @param {string[] | null} parts null: none */
function change(parameter, card, parts) {
  const entries = readEntries(param(parameter));
  if (parts) entries.set(card, parts);
  else entries.delete(card);
  return { [parameter]: writeEntries([...entries].map(([name, rest]) => [name, ...rest])) };
}

/** @param {string} card */
export function useCardState(card) {
  const { params } = useSignal(place);
  const robust = readNames(params.get("robust") ?? "");
  const off = readEntries(params.get("off") ?? "").get(card);
  const box = readEntries(params.get("box") ?? "").get(card);
  return {
    robust: robust.includes(card),
    setRobust: (/** @type {boolean} */ on) => setParams({ robust: writeNames([...robust.filter((one) => one !== card), ...(on ? [card] : [])]), ...(on ? change("box", card, null) : {}) }),
    boxText: box ? box.join(";") : "",
    box: pair(box),
    setBox: (/** @type {[number, number] | null} */ to) => setParams(change("box", card, to && to.map((value) => String(Number(value.toPrecision(6)))))),
    offText: off ? JSON.stringify(off) : "",
    off: off ?? [],
    setOff: (/** @type {Iterable<string>} */ names) => setParams(change("off", card, [...names].length ? [...names] : null)),
  };
}

/** The card in full size and how it changes; "" none. */
export function useFull() {
  const { params } = useSignal(place);
  return /** @type {[string, (card: string) => void]} */ ([params.get("full") ?? "", (card) => setParams({ full: card })]);
}

/** A cursor where the address has it: `at`. @returns {Cursor} */
function linkedCursor() {
  const at = Number(param("at"));
  return param("at") && Number.isFinite(at) ? { x: at, key: "", card: FIXED } : null;
}

/**
 * The cursor that the cards of a view share. A click fixes it: it stands in the address until it is dropped, and the pointer leads it away for a while only.
 * A copied link has it wherever it is.
 * @param {string} [view] another view has another cursor
 */
export function useChartCursor(view = "") {
  const cursor = useMemo(() => signal(linkedCursor()), [view]);
  useMoving(() => ({ at: cursor.value ? Number(cursor.value.x.toFixed(3)) : "" }));
  return {
    cursor,
    /** What a card needs of it. */
    cards: {
      cursor, fixed: linkedCursor,
      onPick: (/** @type {number} */ x, /** @type {string} */ key) => {
        setParams({ at: Math.round(x) });
        cursor.value = { x, key, card: FIXED };
      },
    },
    drop: () => {
      setParams({ at: "" });
      cursor.value = null;
    },
  };
}

/**
 * The card that a grid goes to: that of the address as soon as the list is there, then what the reader asks for.
 * @param {boolean} ready
 * @returns {[goal: {id: string, n: number}, goTo: (card: string) => void]}
 */
export function useCardGoal(ready) {
  const [goal, setGoal] = useState({ id: "", n: 0 });
  const goTo = (/** @type {string} */ card) => setGoal((old) => ({ id: card, n: old.n + 1 }));
  usePosition(["card"], () => (ready ? { card: topCard() } : {}));
  useEffect(() => {
    if (ready && param("card")) goTo(param("card"));
  }, [ready]);
  return [goal, goTo];
}

/** Opens the menu of the card that has the focus. */
export function openMenu() {
  const menu = document.activeElement?.closest("[data-card]")?.querySelector("[aria-haspopup=menu]");
  /** @type {HTMLElement | null | undefined} */ (menu)?.click();
}

/** The first card that is completely in the window; "" at the top of the page. */
function topCard() {
  if (scrollY < 40) return "";
  const cards = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".grid-row [data-card]"));
  return [...cards].find((card) => card.getBoundingClientRect().top > 40)?.dataset.card ?? "";
}
