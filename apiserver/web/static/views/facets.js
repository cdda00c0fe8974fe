// How many runs there are, and how they fall into statuses and tags: click to filter.
import { integer } from "../core/format.js";
import { STATUSES, quote } from "../query/language.js";
import { button, div, span } from "../ui/html.js";
import { icon } from "../ui/icons.js";
import { link } from "../ui/link.js";
import { statusWord } from "../ui/status.js";

const MOST = 6;

/**
 * @param {{rows: import("./runs-data.js").Rows, version: number, q: string, project: string, onFilter: (text: string) => void, onDownload: () => void, onNews: () => void}} props
 */
export function Facets({ rows, q, project, onFilter, onDownload, onNews }) {
  const chips = [
    ...(rows.facets.status?.values ?? []).map((one) => ({ term: `status:${wordOf(String(one.value))}`, text: statusWord(String(one.value)), count: one.count })),
    ...(rows.facets.tags?.values ?? []).filter((one) => one.value !== null).slice(0, MOST).map((one) => ({ term: `tag:${quote(String(one.value))}`, text: String(one.value), count: one.count })),
  ];
  const total = rows.total;
  return div(
    { class: "facets" },
    project && span({ class: "facet-project" }, icon("folder"), project, link({ href: "/", class: "icon-button small", "aria-label": `Leave ${project}` }, icon("close"))),
    span({ class: "muted facet-total", "aria-live": "polite" }, total === null ? "" : total === 1 ? "1 run" : `${integer(total)} runs`),
    div(
      { class: "facet-chips" },
      chips.map((one) => {
        const on = q.split(/\s+/).includes(one.term);
        return button(
          { key: one.term, type: "button", class: "chip", "aria-pressed": on, onClick: () => onFilter(on ? q.replace(one.term, "").trim() : `${q} ${one.term}`.trim()) },
          one.text,
          span({ class: "muted" }, integer(one.count)),
        );
      }),
    ),
    rows.news > 0 && button({ type: "button", class: "chip news", onClick: onNews }, icon("up"), `${integer(rows.news)} new ${rows.news === 1 ? "run" : "runs"}`),
    span({ class: "spacer" }),
    button({ type: "button", class: "icon-button", "aria-label": "Download the table as CSV", title: "Download the table as CSV", onClick: onDownload }, icon("download")),
  );
}

/** @param {string} status */
function wordOf(status) {
  return Object.entries(STATUSES).find(([, value]) => value === status)?.[0] ?? status;
}
