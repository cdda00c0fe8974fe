// The number of runs, by status, tag and values of the parameters that differ most; a click filters.
import { useEffect, useState } from "../vendor/hooks.js";
import { integer } from "../core/format.js";
import { users } from "../core/vocabulary.js";
import { quote, quoteName, termLike, toggled, wordOf } from "../query/language.js";
import { button, div, span } from "../ui/html.js";
import { icon } from "../ui/icons.js";
import { link } from "../ui/link.js";
import { statusWord } from "../ui/status.js";

const MOST = 6;
/** Number of parameters that are shown, and of values for each. */
const PARAMETERS = 3;
const VALUES = 3;
/** Delay: the table has priority. */
const LATER_MS = 400;

/**
 * @param {{rows: import("./runs-data.js").Rows, version: number, seen: [number, number], q: string, project: string, onFilter: (text: string) => void, onDownload: () => void, onNews: () => void, parameters: {section: string, name: string}[] | undefined}} props
 */
export function Facets({ rows, seen, q, project, onFilter, onDownload, onNews, parameters }) {
  const differing = useDiffering(rows, parameters);
  const nameOf = useUserNames(several(rows.facets.user).length > 0);
  const chips = [
    ...(rows.facets.status?.values ?? []).map((one) => ({ term: `status:${wordOf(String(one.value))}`, text: statusWord(String(one.value)), count: one.count })),
    ...(rows.facets.tags?.values ?? []).filter((one) => one.value !== null).slice(0, MOST).map((one) => ({ term: `tag:${quote(String(one.value))}`, text: String(one.value), count: one.count })),
    ...several(rows.facets.type).map((one) => ({ term: `type:${quote(String(one.value))}`, text: String(one.value), count: one.count, name: "type" })),
    ...several(rows.facets.user).map((one) => ({ term: `user:${quote(nameOf(String(one.value)))}`, text: nameOf(String(one.value)), count: one.count, name: "user" })),
    ...differing.flatMap(({ parameter, values }) =>
      values.slice(0, VALUES).map((one) => ({ term: `${quoteName(`hp:${parameter.section}/${parameter.name}`)}:${quote(String(one.value))}`, text: String(one.value), count: one.count, name: parameter.name, title: `${parameter.section}/${parameter.name} = ${one.value}` })),
    ),
  ];
  const total = rows.total;
  return div(
    { class: "facets" },
    project && span({ class: "facet-project" }, icon("folder"), project, link({ href: "/", class: "icon-button small", "aria-label": `Leave ${project}` }, icon("close"))),
    total !== null && seen[1] - seen[0] < total && seen[1] > 0 && span({ class: "muted facet-seen" }, `${integer(seen[0] + 1)}–${integer(seen[1])} of`),
    span({ class: "muted facet-total", "aria-live": "polite" }, total === null ? "" : total === 1 ? "1 run" : `${integer(total)} runs`),
    div(
      { class: "facet-chips" },
      chips.map((one) => {
        const on = Boolean(termLike(q, one.term));
        return button(
          { key: one.term, type: "button", class: "chip", "aria-pressed": on, title: "title" in one ? one.title : undefined, onClick: () => onFilter(toggled(q, one.term)) },
          "name" in one && span({ class: "muted" }, one.name),
          span({ class: "truncate facet-value" }, one.text),
          span({ class: "muted" }, integer(one.count)),
        );
      }),
    ),
    rows.news > 0 && button({ type: "button", class: "chip news", onClick: onNews }, icon("up"), `${integer(rows.news)} new ${rows.news === 1 ? "run" : "runs"}`),
    span({ class: "spacer" }),
    button({ type: "button", class: "icon-button", "aria-label": "Download the table as CSV", title: "Download the table as CSV", onClick: onDownload }, icon("download")),
  );
}

/**
 * The parameters that distinguish most runs, read shortly after the rows.
 * @param {import("./runs-data.js").Rows} rows @param {{section: string, name: string}[] | undefined} parameters
 */
function useDiffering(rows, parameters) {
  const [found, setFound] = useState(/** @type {Awaited<ReturnType<typeof rows.differing>>} */ ([]));
  const many = (rows.total ?? 0) > 1;
  useEffect(() => {
    if (!parameters?.length || !many) return setFound([]);
    let gone = false;
    const timer = setTimeout(() => {
      rows.differing(parameters, PARAMETERS).then(
        (differing) => gone || setFound(differing),
        () => undefined, // the table is complete without them
      );
    }, LATER_MS);
    return () => {
      gone = true;
      clearTimeout(timer);
    };
  }, [rows, parameters, many]);
  return found;
}

/** The facet if it has two values or more. @param {{values: {value: string | null, count: number}[]} | undefined} facet */
function several(facet) {
  const values = (facet?.values ?? []).filter((one) => one.value !== null);
  return values.length > 1 ? values.slice(0, VALUES) : [];
}

/** A function from user id to name; names are read if `wanted`. @param {boolean} wanted @returns {(id: string) => string} */
function useUserNames(wanted) {
  const [names, setNames] = useState(/** @type {Map<string, string>} */ (new Map()));
  useEffect(() => {
    if (wanted) users().then((all) => setNames(new Map(all.map((one) => [one.id, one.name]))), () => undefined); // ids work as a filter too
  }, [wanted]);
  return (id) => names.get(id) ?? id;
}
