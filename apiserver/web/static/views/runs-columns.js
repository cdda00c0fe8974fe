// The column picker: all columns with search; the shown ones on top, in their order.
import { useState } from "../vendor/hooks.js";
import { BUILT_IN_IDS, column } from "../query/columns.js";
import { seriesName } from "../query/compile.js";
import { STATISTICS } from "../query/language.js";
import { button, div, input, label, li, span, ul } from "../ui/html.js";
import { icon } from "../ui/icons.js";

const MOST = 60;

/**
 * @param {{chosen: string[], names: import("../query/compile.js").Vocabulary, onChange: (ids: string[] | null) => void}} props
 */
export function ColumnPicker({ chosen, names, onChange }) {
  const [search, setSearch] = useState("");
  const lower = search.toLowerCase();
  const all = [
    ...BUILT_IN_IDS,
    ...names.parameters.map((one) => `hp:${names.parameters.filter((other) => other.name === one.name).length > 1 ? `${one.section}/` : ""}${one.name}`),
    ...names.series.flatMap((one) => [`~${seriesName(one)}`, ...Object.keys(STATISTICS).map((statistic) => `${statistic}:${seriesName(one)}`)]),
  ];
  const others = all.filter((id) => !chosen.includes(id) && (id.toLowerCase().includes(lower) || titleOf(id, names).toLowerCase().includes(lower)));
  const move = (/** @type {number} */ from, /** @type {number} */ by) => {
    const next = [...chosen];
    const [one] = next.splice(from, 1);
    if (one !== undefined) next.splice(from + by, 0, one);
    onChange(next);
  };
  return div(
    { class: "columns" },
    input({ type: "search", placeholder: "Find a column", "aria-label": "Find a column", value: search, onInput: (/** @type {InputEvent} */ event) => setSearch(/** @type {HTMLInputElement} */ (event.target).value) }),
    ul(
      { class: "column-list", "aria-label": "Shown columns" },
      chosen.map((id, index) =>
        li(
          { key: id },
          label(input({ type: "checkbox", checked: true, onChange: () => onChange(chosen.filter((one) => one !== id)) }), span({ class: "truncate" }, titleOf(id, names))),
          button({ type: "button", class: "icon-button", disabled: index === 0, "aria-label": `Move ${titleOf(id, names)} left`, onClick: () => move(index, -1) }, icon("up")),
          button({ type: "button", class: "icon-button", disabled: index === chosen.length - 1, "aria-label": `Move ${titleOf(id, names)} right`, onClick: () => move(index, 1) }, icon("down")),
        ),
      ),
    ),
    ul(
      { class: "column-list more", "aria-label": "More columns" },
      others.slice(0, MOST).map((id) => li({ key: id }, label(input({ type: "checkbox", checked: false, onChange: () => onChange([...chosen, id]) }), span({ class: "truncate" }, titleOf(id, names))))),
      others.length > MOST && li({ class: "muted" }, `${others.length - MOST} more; search for them`),
      others.length === 0 && li({ class: "muted" }, `No column contains "${search}"`),
    ),
    button({ type: "button", class: "link", onClick: () => onChange(null) }, "Default columns"),
  );
}

/** @param {string} id @param {import("../query/compile.js").Vocabulary} names */
function titleOf(id, names) {
  const found = column(id, names);
  if (!found) return id;
  if (id.startsWith("hp:")) return `${found.title} (parameter)`;
  return found.spark ? `curve of ${found.title}` : found.title;
}
