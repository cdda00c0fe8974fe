// The tree of projects with their numbers of runs and running runs.
import { useState } from "../vendor/hooks.js";
import { call } from "../core/api.js";
import { ago, integer, ms, plural } from "../core/format.js";
import { loadStyle } from "../core/style.js";
import { address } from "../core/url.js";
import { button, div, fragment, h1, input, p, span, table, tbody, td, th, thead, tr, use } from "../ui/html.js";
import { useCall, useKeys, usePolling, useTitle } from "../ui/hooks.js";
import { icon } from "../ui/icons.js";
import { link } from "../ui/link.js";
import { Problem } from "../ui/problem.js";
import { Page } from "../ui/shell.js";

await loadStyle("runs");

const POLL_MS = 10_000;

/** @typedef {{id: string, name: string, last_update?: string, stats?: any}} Project */

export default function Projects() {
  useTitle("Projects");
  const [search, setSearch] = useState("");
  const [closed, setClosed] = useState(/** @type {Set<string>} */ (new Set()));
  const found = useCall(async (signal) => /** @type {Project[]} */ ((await call("projects.get_all_ex", { include_stats: true, only_fields: ["name", "last_update"] }, { signal })).projects), []);
  usePolling(found.again, POLL_MS);
  useKeys("Projects", [{ keys: "/", does: "find a project", run: () => /** @type {HTMLElement | null} */ (document.querySelector(".project-find"))?.focus() }]);
  const all = [...(found.data ?? [])].sort((a, b) => a.name.localeCompare(b.name));
  const names = new Set(all.map((one) => one.name));
  const lower = search.toLowerCase();
  const shown = all.filter((one) => (search ? one.name.toLowerCase().includes(lower) : !parents(one.name).some((parent) => closed.has(parent))));
  const toggle = (/** @type {string} */ name) => {
    const next = new Set(closed);
    if (!next.delete(name)) next.add(name);
    setClosed(next);
  };
  const bar = input({ type: "search", class: "project-find", placeholder: "Find a project", "aria-label": "Find a project", value: search, onInput: (/** @type {any} */ event) => setSearch(event.target.value) });
  return use(
    Page,
    { bar, class: "narrow" },
    div({ class: "section-head" }, h1("Projects"), found.data && span({ class: "muted" }, plural(all.length, "project"))),
    found.error && use(Problem, { error: found.error, again: found.again }),
    found.data && !all.length && p({ class: "muted" }, "No projects yet. The first run of a project creates it."),
    found.data && all.length > 0 && !shown.length && p({ class: "muted" }, `No project contains "${search}".`),
    shown.length > 0 &&
      table(
        { class: "runs projects", "aria-label": "Projects" },
        thead(tr(...["Project", "Runs", "Running", "Failed", "Changed"].map((text, index) => th({ key: text, scope: "col", class: index && index < 4 ? "num" : "" }, span({ class: "head-text" }, text))))),
        tbody(
          shown.map((one) => {
            const depth = search ? 0 : parents(one.name).filter((parent) => names.has(parent)).length;
            const children = all.some((other) => other.name.startsWith(`${one.name}/`));
            const active = one.stats?.active ?? {};
            const count = active.status_count ?? {};
            return tr(
              { key: one.id, class: "row" },
              td(
                div(
                  { class: "project-cell", style: { paddingLeft: `min(${depth * 20}px, 6vw)` } },
                  children && !search
                    ? button({ type: "button", class: "icon-button small", "aria-expanded": !closed.has(one.name), "aria-label": `Subprojects of ${one.name}`, onClick: () => toggle(one.name) }, icon(closed.has(one.name) ? "right" : "down"))
                    : span({ class: "project-space" }),
                  icon("folder"),
                  link({ href: address("/", { project: one.name }), class: "run-name" }, search || !depth ? one.name : one.name.slice(one.name.lastIndexOf("/") + 1)),
                ),
              ),
              td({ class: "num" }, integer(active.total_tasks ?? 0)),
              td({ class: "num" }, count.in_progress ? fragment(span({ class: "live-dot", "aria-hidden": "true" }), integer(count.in_progress)) : ""),
              td({ class: "num" }, count.failed ? integer(count.failed) : ""),
              td(ago(ms(one.last_update))),
            );
          }),
        ),
      ),
  );
}

/** "a/b/c" -> ["a", "a/b"]. @param {string} name */
function parents(name) {
  const parts = name.split("/");
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join("/"));
}
