// The list of compared runs: colours, order, visibility. A long list is virtual.
import { useRef } from "../vendor/hooks.js";
import { color } from "../core/colors.js";
import { runHref } from "../core/url.js";
import { button, li, span, ul } from "../ui/html.js";
import { icon } from "../ui/icons.js";
import { link } from "../ui/link.js";
import { statusBadge } from "../ui/status.js";
import { useVirtual } from "../ui/virtual.js";

/** px of a run with its gap, and the number of runs from which the list is virtual; in narrow windows, where runs are in a row, it never is. */
const ROW = 60;
const LONG = 30;
const WIDE = 900;

/**
 * @param {{
 *   runs: import("./compare.js").Compared[], solo: string, onMove: (from: number, by: number) => void, onToggle: (id: string) => void,
 *   onLeave: (id: string) => void, onSolo: (id: string) => void,
 * }} props
 */
export function RunList({ runs, solo, onMove, onToggle, onLeave, onSolo }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const { first, last, before, after } = useVirtual(box, runs.length, ROW);
  const long = runs.length > LONG && innerWidth > WIDE;
  const space = (/** @type {string} */ key, /** @type {number} */ height) => height > 0 && li({ key, class: "space", "aria-hidden": "true", style: { height: `${height}px` } });
  const dragged = useRef(-1);
  const entry = (/** @type {import("./compare.js").Compared} */ run, /** @type {number} */ index) =>
    li(
      {
        key: run.id, class: run.hidden ? "off" : "", "aria-setsize": runs.length, "aria-posinset": index + 1, draggable: true,
        onDragStart: () => (dragged.current = index),
        onDragOver: (/** @type {DragEvent} */ event) => dragged.current >= 0 && event.preventDefault(), // a run may be dropped here
        onDrop: (/** @type {DragEvent} */ event) => {
          event.preventDefault();
          if (dragged.current >= 0) onMove(dragged.current, index - dragged.current);
        },
        onDragEnd: () => (dragged.current = -1),
      },
      span({ class: "dot", style: { background: color(run.pick) } }),
      link({ href: runHref(run.id), class: "run-name truncate", title: [run.name, run.project?.name].filter(Boolean).join("\n") }, run.name),
      span(
        { class: "compare-facts" },
        statusBadge(run.status),
        span(
          { class: "compare-actions" },
          index > 0 && button({ type: "button", class: "icon-button small", "aria-label": `Move ${run.name} up`, onClick: () => onMove(index, -1) }, icon("up")),
          button({ type: "button", class: "icon-button small", "aria-label": `Only ${run.name}`, "aria-pressed": solo === run.id, title: "Only this one", onClick: () => onSolo(run.id) }, icon("star")),
          button({ type: "button", class: "icon-button small", "aria-label": `${run.hidden ? "Show" : "Hide"} ${run.name}`, "aria-pressed": run.hidden, title: run.hidden ? "Show" : "Hide", onClick: () => onToggle(run.id) }, icon(run.hidden ? "eyeoff" : "eye")),
          button({ type: "button", class: "icon-button small", "aria-label": `Leave ${run.name} out`, title: "Remove", onClick: () => onLeave(run.id) }, icon("close")),
        ),
      ),
    );
  return ul(
    { ref: box, class: long ? "long" : "" },
    long && space("before", before),
    long ? runs.slice(first, last).map((run, at) => entry(run, first + at)) : runs.map(entry),
    long && space("after", after),
  );
}
