// Widths of the table's columns: changed by dragging or arrow keys, stored with the user's preferences.
import { useState } from "../vendor/hooks.js";
import { preference, setPreference } from "../core/prefs.js";
import { span } from "../ui/html.js";
import { useSignal } from "../ui/hooks.js";

const LEAST = 56;
const MOST = 900;
const STEP = 8;

/** px by the id of a column; a stored value may be anything. @returns {Record<string, number>} */
function stored(/** @type {unknown} */ value) {
  const entries = Object.entries(value && typeof value === "object" ? value : {});
  return Object.fromEntries(entries.filter(([, width]) => typeof width === "number" && width >= LEAST && width <= MOST));
}

/**
 * The chosen widths, and the drag handle for a column's head.
 * @returns {{widths: Record<string, number>, handle: (id: string, title: string, width: number) => any}}
 */
export function useColumnWidths() {
  const kept = stored(useSignal(preference("widths", {})));
  const [moving, setMoving] = useState(/** @type {{id: string, from: number, width: number, now: number} | null} */ (null));
  const keep = (/** @type {string} */ id, /** @type {number | null} */ width) => {
    const next = { ...kept };
    if (width === null) delete next[id];
    else next[id] = limited(width);
    setPreference("widths", next);
  };
  const widths = moving ? { ...kept, [moving.id]: moving.now } : kept;
  const handle = (/** @type {string} */ id, /** @type {string} */ title, /** @type {number} */ width) =>
    span({
      class: moving?.id === id ? "column-edge on" : "column-edge", role: "separator", tabIndex: 0, "aria-orientation": "vertical",
      "aria-label": `Width of ${title}`, "aria-valuenow": Math.round(width), "aria-valuemin": LEAST, "aria-valuemax": MOST,
      title: "Drag to change the width; double-click for the default",
      onPointerDown: (/** @type {PointerEvent} */ event) => {
        event.preventDefault();
        /** @type {HTMLElement} */ (event.currentTarget).setPointerCapture(event.pointerId);
        setMoving({ id, from: event.clientX, width, now: width });
      },
      onPointerMove: (/** @type {PointerEvent} */ event) => moving?.id === id && setMoving({ ...moving, now: limited(moving.width + event.clientX - moving.from) }),
      onPointerUp: () => {
        if (moving?.id === id && moving.now !== moving.width) keep(id, moving.now);
        setMoving(null);
      },
      onPointerCancel: () => setMoving(null),
      onDblClick: () => keep(id, null),
      onKeyDown: (/** @type {KeyboardEvent} */ event) => {
        const by = { ArrowLeft: -STEP, ArrowRight: STEP }[event.key];
        if (!by && event.key !== "Home") return;
        event.preventDefault();
        event.stopPropagation();
        keep(id, by ? width + (event.shiftKey ? 5 * by : by) : null);
      },
    });
  return { widths, handle };
}

/** @param {number} width */
const limited = (width) => Math.round(Math.min(MOST, Math.max(LEAST, width)));
