// State of single cards in the URL: `robust` ranges, `box` zooms, hidden lines (`off`), and the card in `full` size.
import { readEntries, readNames, writeEntries, writeNames } from "../core/lists.js";
import { param, place, setParams } from "../core/url.js";
import { useMoving, useSignal } from "../ui/hooks.js";

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

/** The cursor of a link (`at`). @returns {import("./card.js").Cursor} */
export function linkedCursor() {
  const at = Number(param("at"));
  return param("at") && Number.isFinite(at) ? { x: at, key: "", card: "link" } : null;
}

/**
 * Adds cursor and topmost card to copied links.
 * @param {import("../vendor/signals.js").Signal<import("./card.js").Cursor>} cursor
 */
export function useChartLink(cursor) {
  useMoving(() => ({ at: cursor.value ? Number(cursor.value.x.toFixed(3)) : "", card: topCard() }));
}

/** The first card that is completely in the window; "" at the top of the page. */
function topCard() {
  if (scrollY < 40) return "";
  const cards = /** @type {NodeListOf<HTMLElement>} */ (document.querySelectorAll(".grid-row [data-card]"));
  return [...cards].find((card) => card.getBoundingClientRect().top > 40)?.dataset.card ?? "";
}
