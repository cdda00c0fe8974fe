// All series of a run as thumbnails, from one call; only those near the window are rendered.
import { h } from "../vendor/preact.js";
import { useMemo } from "../vendor/hooks.js";
import { color } from "../core/colors.js";
import { integer, number, plural } from "../core/format.js";
import { theme } from "../core/theme.js";
import { allThumbnails, thumbKey, thumbnails } from "../core/thumbnails.js";
import { useCall, useSignal } from "../ui/hooks.js";
import { Problem } from "../ui/problem.js";
import { curve } from "./curve.js";
import { button, div, fragment, p, span, use } from "./elements.js";
import { layout, VirtualGrid } from "./grid.js";

/** @typedef {import("./grid.js").CardSpec} CardSpec */
/** @typedef {import("../core/thumbnails.js").Thumb} Thumb */

const TILE = 132;
const HEIGHT = 58;
const WIDTH = 120;
const PICTURE = 26;
/** Most series of one call; a run with more shows the first ones that match the search. */
const MOST_AT_ONCE = 4_000;

/**
 * @param {{id: string, cards: CardSpec[], chosen: CardSpec[], pins: string[], room: number, revision: number, onOpen: (card: CardSpec) => void}} props
 *   `room`: px for all tiles beside each other
 */
export function Strip({ id, cards, chosen, pins, room, revision, onOpen }) {
  useSignal(theme);
  const count = cards.reduce((sum, card) => sum + card.variants.length, 0);
  const some = count > MOST_AT_ONCE ? chosen.slice(0, MOST_AT_ONCE) : null;
  const found = useCall(
    (signal) => (some ? thumbnails([id], some.flatMap((card) => card.variants.map((variant) => ({ metric: card.wanted[0].metric, variant }))), signal) : allThumbnails(id, count, signal)),
    [id, count, revision, some?.length, some?.[0]?.id, some?.[some.length - 1]?.id],
  );
  const columns = Math.max(2, Math.floor(room / TILE));
  const rows = useMemo(() => layout(some ?? chosen, new Set(pins), columns, HEIGHT), [some?.length, some?.[0], chosen, pins, columns]);
  if (found.error && !found.data) return use(Problem, { error: found.error, again: found.again, title: "The thumbnails can't be loaded" });
  const thumbs = found.data ?? new Map();
  return fragment(some && chosen.length > some.length && p({ class: "muted" }, `The first ${integer(some.length)} of ${plural(chosen.length, "chart")}; "Find series" finds the others.`), use(VirtualGrid, { rows, columns, height: HEIGHT, render: (/** @type {CardSpec} */ card) => use(Tile, { key: card.id, card, thumbs, id, onOpen }) }));
}

/** @param {{card: CardSpec, thumbs: Map<string, Thumb>, id: string, onOpen: (card: CardSpec) => void}} props */
function Tile({ card, thumbs, id, onOpen }) {
  const shown = card.variants.flatMap((variant, pick) => {
    const thumb = thumbs.get(thumbKey(id, card.wanted[0].metric, variant));
    return thumb ? [{ thumb, paint: color(card.variants.length === 1 ? 0 : pick) }] : [];
  });
  const [first] = shown;
  const label = shown.map((one) => one.thumb.label).join("\n");
  return button(
    { type: "button", class: "tile", title: label || card.title, onClick: () => onOpen(card) },
    h("svg", { viewBox: `0 0 ${WIDTH} ${PICTURE}`, preserveAspectRatio: "none", "aria-hidden": "true" }, shown.map((one, at) => h("g", { key: at }, curve(one.thumb, one.paint, WIDTH, PICTURE)))),
    div({ class: "tile-name" }, span({ class: "truncate" }, card.title), first && shown.length === 1 && span({ class: "muted" }, number(first.thumb.last))),
  );
}
