// Shown for a table without rows: which part of the filter excludes everything, and archived runs.
import { call } from "../core/api.js";
import { integer, plural } from "../core/format.js";
import { address, setParams } from "../core/url.js";
import { compile } from "../query/compile.js";
import { parse, quote, without } from "../query/language.js";
import { a, button, div, li, p, span, ul } from "../ui/html.js";
import { useCall } from "../ui/hooks.js";
import { link } from "../ui/link.js";

/** Most parts of a filter that are tried. */
const TRIED = 8;

/** @typedef {import("../query/compile.js").Vocabulary} Vocabulary */

/** The number of matching runs. @param {Record<string, any>} query filters of tasks.get_all_ex @param {AbortSignal} signal @returns {Promise<number>} */
async function count(query, signal) {
  const { total } = await call("tasks.get_all_ex", { ...query, page: 0, page_size: 1, only_fields: ["id"], count_total: true }, { signal });
  return total;
}

/**
 * The number of matching archived runs; 0 while unknown.
 * @param {Record<string, any>} query that of the table
 */
export function useArchived(query) {
  const already = query.system_tags?.includes("archived");
  return useCall((signal) => (already ? null : count({ ...query, system_tags: ["archived"] }, signal)), [query]).data ?? 0;
}

/** "12 archived runs · Show them". @param {number} count @param {string} q @param {string} project */
export function archivedHint(count, q, project) {
  if (!count) return null;
  return p(`${integer(count)} archived ${count === 1 ? "run" : "runs"} · `, link({ href: address("/", { q: `${q} is:archived`.trim(), project }) }, count === 1 ? "Show it" : "Show them"));
}

/** @param {{q: string, project: string, query: Record<string, any>, names: Vocabulary}} props */
export function Nothing({ q, project, query, names }) {
  const archived = useArchived(query);
  const parts = useCall((signal) => leftOut(q, project, names, signal), [q, project, names]);
  return div(
    { class: "blank narrow-blank" },
    p(q ? span("No run matches ", span({ class: "mono" }, q), project && ` in ${project}`) : `${project} has no runs.`),
    parts.data &&
      parts.data.length > 0 &&
      ul(
        { "aria-label": "Parts of the filter", class: "filter-parts" },
        parts.data.map(({ part, rest, fits }) =>
          li({ key: part }, fits ? button({ type: "button", class: "link", onClick: () => setParams({ q: rest }) }, "Without ", span({ class: "mono" }, part), `: ${plural(fits, "run")}`) : span(span({ class: "mono" }, part), " matches no run")),
        ),
      ),
    archivedHint(archived, q, project),
    q && button({ type: "button", class: "button", onClick: () => setParams({ q: "" }) }, "Clear the filter"),
    !q && a({ href: address("/", {}), class: "button" }, "All runs"),
  );
}

/**
 * The parts without which runs match; if there is none, those that match no run by themselves (`fits` is 0).
 * @param {string} q @param {string} project @param {Vocabulary} names @param {AbortSignal} signal
 */
async function leftOut(q, project, names, signal) {
  const { terms } = parse(q);
  if (terms.length < 2 || terms.length > TRIED) return [];
  const fitting = async (/** @type {string} */ text) => count(await compile(parse(project ? `${text} project:${quote(project)}` : text).terms, names), signal);
  const tried = terms.map((term) => ({ part: q.slice(term.from, term.to), rest: without(q, term) }));
  const found = await Promise.all(tried.map(async (one) => ({ ...one, fits: await fitting(one.rest) })));
  const helping = found.filter((one) => one.fits > 0).sort((left, right) => right.fits - left.fits);
  if (helping.length) return helping;
  const alone = await Promise.all(tried.map(async (one) => ({ ...one, fits: await fitting(one.part) })));
  return alone.filter((one) => one.fits === 0);
}
