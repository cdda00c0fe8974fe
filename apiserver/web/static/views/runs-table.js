// The runs table: virtual rows, sticky head and names, sorting, selection, keyboard cursor.
import { useEffect, useLayoutEffect, useRef } from "../vendor/hooks.js";
import { color } from "../core/colors.js";
import { button, div, fragment, input, span, table, tag, tbody, td, th, thead, tr, use } from "../ui/html.js";
import { icon } from "../ui/icons.js";
import { useVirtual } from "../ui/virtual.js";
import { useColumnWidths } from "./column-widths.js";
import { Row } from "./runs-row.js";

export const ROW = 33;
const HEAD = 33;
/** Limits of the width of names; the rest of a wide window stays empty on the right. */
const LEAST_NAME = 240;
const MOST_NAME = 640;
const col = tag("col");
const colgroup = tag("colgroup");

/**
 * @param {{
 *   rows: import("./runs-data.js").Rows, list: string, top: number, columns: import("../query/columns.js").Column[], sort: string, onSort: (id: string, add: boolean) => void,
 *   onDiffering: (column: import("../query/columns.js").Column) => void,
 *   selected: Set<string>, onSelect: (ids: string[], on: boolean) => void, picks: Map<string, number>, hidden: Set<string>, onHide: (id: string) => void,
 *   cursor: number, onCursor: (index: number) => void, onRange: (from: number, to: number, atTop: boolean) => void,
 *   onSeen: (rows: [number, number]) => void,
 *   curves: import("../vendor/signals.js").Signal<import("./runs-curves.js").Curves>, busy: boolean,
 * }} props `list`: another list begins at row `top` (1 is the first)
 */
export function RunsTable({ rows, list, top, columns, sort, onSort, onDiffering, selected, onSelect, picks, hidden, onHide, cursor, onCursor, onRange, onSeen, curves, busy }) {
  const scroller = useRef(/** @type {HTMLElement | null} */ (null));
  const { first, last, around, seen, before, after, atTop } = useVirtual(scroller, rows.length, ROW, 0, HEAD);
  const { widths, handle } = useColumnWidths();
  const widthOf = (/** @type {import("../query/columns.js").Column} */ one) => widths[one.id] ?? one.width;
  const anchor = useRef(-1);
  useLayoutEffect(() => onRange(around[0], around[1], atTop), [around[0], around[1], atTop, rows]);
  useLayoutEffect(() => onSeen(seen), [seen[0], seen[1], rows]);
  useEffect(() => {
    scroller.current?.scrollTo(0, Math.max(0, top - 1) * ROW);
  }, [list]);
  useEffect(() => {
    if (cursor < 0 || !scroller.current) return;
    const { scrollTop, clientHeight } = scroller.current;
    const top = cursor * ROW;
    if (top < scrollTop) scroller.current.scrollTop = top;
    else if (top + ROW > scrollTop + clientHeight - HEAD) scroller.current.scrollTop = top + ROW - clientHeight + HEAD;
    requestAnimationFrame(() => /** @type {HTMLElement | null} */ (scroller.current?.querySelector(`[data-index="${cursor}"] .run-name`))?.focus({ preventScroll: true }));
  }, [cursor]);

  const shown = [];
  for (let index = first; index < last; index++) shown.push(index);
  const nameWidth = useRef(LEAST_NAME);
  for (const index of shown) nameWidth.current = Math.max(nameWidth.current, roomFor(rows.runs.get(index)));
  const known = rows.ids(0, rows.length);
  const all = known.length > 0 && known.every((id) => selected.has(id));
  const choose = (/** @type {number} */ index, /** @type {MouseEvent} */ event) => {
    const run = rows.runs.get(index);
    if (!run) return;
    const on = !selected.has(run.id);
    const from = event.shiftKey && anchor.current >= 0 ? Math.min(anchor.current, index) : index;
    onSelect(rows.ids(from, event.shiftKey && anchor.current >= 0 ? Math.max(anchor.current, index) + 1 : index + 1), on);
    anchor.current = index;
    onCursor(index);
  };
  const act = useRef({ choose, onHide });
  act.current = { choose, onHide };
  const bodies = shown.map((index) => {
    const run = rows.runs.get(index);
    if (!run) return waiting(index);
    return use(Row, { key: run.id, run, index, columns, curves, act, on: selected.has(run.id), here: index === cursor, off: hidden.has(run.id), paint: color(picks.get(run.id) ?? 32) });
  });
  const width = 36 + columns.reduce((sum, one) => sum + widthOf(one), 0);
  const nameRoom = widths.name ?? nameWidth.current;
  return div(
    { class: busy ? "runs-scroll busy" : "runs-scroll", ref: scroller, tabIndex: -1 },
    table(
      { class: "runs", "aria-rowcount": rows.length + 1, "aria-label": "Runs", style: { "--name": `${nameRoom}px`, ...(widths.name ? { "--name-width": `${widths.name}px` } : {}), minWidth: `calc(var(--name-width) + ${width}px)` } },
      colgroup(col({ style: { width: "36px" } }), col({ class: "name-col" }), ...columns.map((one) => col({ key: one.id, style: { width: `${widthOf(one)}px` } })), col({})),
      thead(
        tr(
          { "aria-rowindex": 1 },
          th(
            { class: "pick", scope: "col" },
            input({ type: "checkbox", checked: all, "aria-label": "Select all loaded runs", onChange: () => onSelect(known, !all) }),
          ),
          head({ id: "name", title: "Run", sort: ["name"], numeric: false }, sort, onSort, handle("name", "Run", nameRoom)),
          ...columns.map((one) => head(one, sort, onSort, fragment(one.facet && differingButton(one.title, () => onDiffering(one)), handle(one.id, one.title, widthOf(one))))),
          td({ class: "rest" }),
        ),
      ),
      tbody(
        before > 0 && tr({ key: "before", "aria-hidden": "true", class: "space" }, td({ colSpan: columns.length + 3, style: { height: `${before}px` } })),
        bodies,
        after > 0 && tr({ key: "after", "aria-hidden": "true", class: "space" }, td({ colSpan: columns.length + 3, style: { height: `${after}px` } })),
      ),
    ),
  );

  /** A row that is not loaded yet. @param {number} index */
  function waiting(index) {
    return tr({ key: index, class: "row waiting", "aria-rowindex": index + 2 }, td({ class: "pick" }), td({ class: "name" }, span({ class: "skeleton" })), ...columns.map((one) => td({ key: one.id })), td({ class: "rest" }));
  }
}

/** @param {string} title of the column @param {() => void} onClick */
function differingButton(title, onClick) {
  return button(
    { type: "button", class: "head-filter", "aria-label": `Only runs where ${title} differs`, title: `Only runs where ${title} differs from the most frequent value`, onClick },
    icon("filter"),
  );
}

/** Pixels for a name and the tags beside it, in steps. @param {import("../query/columns.js").Run | undefined} run */
function roomFor(run) {
  if (!run) return 0;
  const tags = (run.tags ?? []).slice(0, 2).reduce((/** @type {number} */ sum, /** @type {string} */ tag) => sum + 26 + 6.5 * tag.length, 0);
  return Math.min(MOST_NAME, 40 * Math.ceil((64 + 7.6 * String(run.name || run.id).length + tags) / 40));
}

/**
 * @param {{id: string, title: string, sort: string[] | null, numeric: boolean}} one
 * @param {string} sort
 * @param {(id: string, add: boolean) => void} onSort
 * @param {any} edge
 */
function head(one, sort, onSort, edge) {
  const parts = sort.split(",");
  const direction = parts.includes(one.id) ? "ascending" : parts.includes(`-${one.id}`) ? "descending" : undefined;
  const at = parts.length > 1 ? parts.findIndex((part) => part === one.id || part === `-${one.id}`) + 1 : 0;
  const title = one.id.startsWith("~") ? span({ class: "truncate" }, span({ class: "muted" }, "~ "), one.title) : span({ class: "truncate" }, one.title);
  return th(
    { key: one.id, scope: "col", class: `${one.numeric ? "num" : ""} ${one.id === "name" ? "name" : ""}`, "aria-sort": direction },
    one.sort
      ? button(
          { type: "button", title: `Sort by ${one.title}; with Shift as an additional key`, onClick: (/** @type {MouseEvent} */ event) => onSort(one.id, event.shiftKey) },
          title,
          direction && icon(direction === "ascending" ? "up" : "down"),
          at > 0 && direction && span({ class: "muted" }, String(at)),
        )
      : span({ class: "head-text truncate", title: one.title }, title),
    edge,
  );
}
