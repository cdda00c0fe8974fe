// Adds runs to a comparison, found by name, id, comment or tags.
import { useState } from "../vendor/hooks.js";
import { call } from "../core/api.js";
import { literal } from "../query/compile.js";
import { button, div, fragment, input, li, span, ul, use } from "../ui/html.js";
import { useCall, useDebounced } from "../ui/hooks.js";
import { icon } from "../ui/icons.js";
import { Menu } from "../ui/menu.js";
import { Problem } from "../ui/problem.js";
import { statusBadge } from "../ui/status.js";

const FOUND = 12;

/** @param {{ids: string[], most: number, onAdd: (id: string) => void}} props */
export function AddRuns({ ids, most, onAdd }) {
  return use(Menu, {
    label: fragment(icon("plus"), "Add runs"),
    align: "left",
    children: () => (ids.length < most ? use(Finder, { ids, onAdd }) : span({ class: "muted" }, `At most ${most} runs are compared.`)),
  });
}

/** @param {{ids: string[], onAdd: (id: string) => void}} props */
function Finder({ ids, onAdd }) {
  const [text, setText] = useState("");
  const words = useDebounced(text, 150).trim().split(/\s+/).filter(Boolean);
  const found = useCall(
    async (signal) => {
      const filter = words.length ? { _any_: { pattern: words.map(literal).join(".*"), fields: ["name", "id", "comment", "tags"] } } : {};
      const { tasks } = await call(
        "tasks.get_all_ex",
        { ...filter, order_by: ["-last_update"], page: 0, page_size: FOUND + ids.length, only_fields: ["name", "status", "project.name", "system_tags"], system_tags: ["-archived"] },
        { signal },
      );
      return /** @type {any[]} */ (tasks);
    },
    [words.join(" ")],
  );
  const others = (found.data ?? []).filter((run) => !ids.includes(run.id)).slice(0, FOUND);
  return div(
    { class: "columns" },
    input({ type: "search", placeholder: "Find a run", "aria-label": "Find a run", value: text, onInput: (/** @type {any} */ event) => setText(event.target.value) }),
    found.error && use(Problem, { error: found.error, again: found.again }),
    ul(
      { class: "column-list more", "aria-label": "Runs" },
      others.map((run) =>
        li(
          { key: run.id },
          button({ type: "button", class: "link truncate", title: [run.name, run.project?.name, run.id].filter(Boolean).join("\n"), onClick: () => onAdd(run.id) }, run.name || run.id),
          statusBadge(run.status),
        ),
      ),
      found.data && !others.length && li({ class: "muted" }, "No other run matches"),
    ),
  );
}
