// Saved views: filter, project, columns, order and groups under a name, stored with the user on the server.
import { preference, setPreference } from "../core/prefs.js";
import { address, go, place } from "../core/url.js";
import { button, div, form, fragment, input, li, span, ul, use } from "../ui/html.js";
import { useSignal } from "../ui/hooks.js";
import { icon } from "../ui/icons.js";
import { Menu } from "../ui/menu.js";

const KEPT = ["q", "project", "cols", "sort", "group"];
const MOST = 50;

/** @typedef {{name: string, query: string}} View */

/** The parameters of the URL that a view saves, in a fixed order. @param {URLSearchParams} params */
function queryOf(params) {
  return address("", Object.fromEntries(KEPT.map((name) => [name, params.get(name) ?? ""]))).slice(1);
}

/** Validates stored views, which anybody with this user's login can write. @param {unknown} stored @returns {View[]} */
function viewsOf(stored) {
  if (!Array.isArray(stored)) return [];
  return stored.filter((one) => typeof one?.name === "string" && typeof one?.query === "string");
}

export function SavedViews() {
  const views = viewsOf(useSignal(preference("views", [])));
  const { params } = useSignal(place);
  const query = queryOf(params);
  const current = views.find((one) => one.query === query);
  const save = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const name = String(new FormData(/** @type {HTMLFormElement} */ (event.target)).get("name")).trim();
    if (name) setPreference("views", [...views.filter((one) => one.name !== name), { name, query }].slice(-MOST));
  };
  return use(Menu, {
    label: fragment(icon("star"), span({ class: "wide-only truncate view-name" }, current?.name ?? "Views")),
    title: "Saved views",
    class: current ? "button on" : "button",
    children: (/** @type {() => void} */ close) =>
      div(
        { class: "columns" },
        views.length
          ? ul(
              { class: "column-list", "aria-label": "Saved views" },
              views.map((one) =>
                li(
                  { key: one.name },
                  button({ type: "button", class: "link truncate", "aria-current": one === current ? "true" : undefined, title: one.query, onClick: () => (go(one.query ? `/?${one.query}` : "/"), close()) }, one.name),
                  button({ type: "button", class: "icon-button", "aria-label": `Delete ${one.name}`, title: "Delete", onClick: () => setPreference("views", views.filter((other) => other !== one)) }, icon("close")),
                ),
              ),
            )
          : span({ class: "muted" }, "Filter, columns, order and groups under a name"),
        form({ class: "view-form", onSubmit: save }, input({ name: "name", maxLength: 80, required: true, placeholder: "Name of this view", "aria-label": "Name of this view", autocomplete: "off" }), button({ class: "button" }, "Save")),
      ),
  });
}
