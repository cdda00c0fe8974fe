// Tables under a name: filter, columns, order and groups. The reader's own are kept with the user, those of a project with the project, for all who read it.
import { useEffect, useState } from "../vendor/hooks.js";
import { call } from "../core/api.js";
import { preference, setPreference } from "../core/prefs.js";
import { address, go, place } from "../core/url.js";
import { projects } from "../core/vocabulary.js";
import { button, div, form, fragment, input, label, li, span, ul, use } from "../ui/html.js";
import { useSignal } from "../ui/hooks.js";
import { icon } from "../ui/icons.js";
import { Menu } from "../ui/menu.js";
import { toast } from "../ui/toast.js";

const KEPT = ["q", "project", "cols", "sort", "group"];
const MOST = 50;

/** @typedef {{name: string, query: string}} View */

/** The parameters of the URL that a view saves, in a fixed order. @param {URLSearchParams} params */
function queryOf(params) {
  return address("", Object.fromEntries(KEPT.map((name) => [name, params.get(name) ?? ""]))).slice(1);
}

/** The address of a project's view: the project may have another name by now. @param {string} query @param {string} project */
function ofProject(query, project) {
  const params = new URLSearchParams(query);
  params.set("project", project);
  return queryOf(params);
}

/** @param {string} query */
function withoutProject(query) {
  const params = new URLSearchParams(query);
  params.delete("project");
  return queryOf(params);
}

/** Validates stored views, which anybody who may write can write. @param {unknown} stored @returns {View[]} */
function viewsOf(stored) {
  if (!Array.isArray(stored)) return [];
  return stored.filter((one) => typeof one?.name === "string" && typeof one?.query === "string");
}

export function SavedViews() {
  const own = viewsOf(useSignal(preference("views", [])));
  const { params } = useSignal(place);
  const query = queryOf(params);
  const current = own.find((one) => one.query === query);
  return use(Menu, {
    label: fragment(icon("star"), span({ class: "wide-only truncate view-name" }, current?.name ?? "Views")),
    title: "Saved views",
    class: current ? "button on" : "button",
    children: (/** @type {() => void} */ close) => use(Views, { own, query, project: params.get("project") ?? "", close }),
  });
}

/** @param {{own: View[], query: string, project: string, close: () => void}} props */
function Views({ own, query, project, close }) {
  const shared = useProjectViews(project);
  const [together, setTogether] = useState(false);
  const save = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const name = String(new FormData(/** @type {HTMLFormElement} */ (event.target)).get("name")).trim();
    if (!name) return;
    if (project && together) void shared.change("projects.save_view", { name, query: withoutProject(query) });
    else setPreference("views", [...own.filter((one) => one.name !== name), { name, query }].slice(-MOST));
  };
  const list = (/** @type {string} */ title, /** @type {View[]} */ views, /** @type {(one: View) => void} */ forget) =>
    ul(
      { class: "column-list", "aria-label": title },
      views.map((one) =>
        li(
          { key: one.name },
          button({ type: "button", class: "link truncate", "aria-current": one.query === query ? "true" : undefined, title: one.query, onClick: () => (go(one.query ? `/?${one.query}` : "/"), close()) }, one.name),
          button({ type: "button", class: "icon-button", "aria-label": `Delete ${one.name}`, title: "Delete", onClick: () => forget(one) }, icon("close")),
        ),
      ),
    );
  return div(
    { class: "columns" },
    shared.views.length > 0 && span({ class: "muted truncate", title: project }, `Of the project ${project}`),
    shared.views.length > 0 && list("Views of the project", shared.views.map((one) => ({ name: one.name, query: ofProject(one.query, project) })), (one) => void shared.change("projects.delete_view", { name: one.name })),
    shared.views.length > 0 && own.length > 0 && span({ class: "muted" }, "Yours"),
    own.length > 0 && list("Saved views", own, (one) => setPreference("views", own.filter((other) => other !== one))),
    !own.length && !shared.views.length && span({ class: "muted" }, "Filter, columns, order and groups under a name"),
    form(
      { class: "view-form", onSubmit: save },
      input({ name: "name", maxLength: 80, required: true, placeholder: "Name of this view", "aria-label": "Name of this view", autocomplete: "off" }),
      button({ class: "button" }, "Save"),
      project && label({ class: "view-shared" }, input({ type: "checkbox", checked: together, onChange: () => setTogether(!together) }), " for all who read this project"),
    ),
  );
}

/** The views that a project keeps. @param {string} project its name; "" none */
function useProjectViews(project) {
  const [views, setViews] = useState(/** @type {View[]} */ ([]));
  useEffect(() => {
    let gone = false;
    setViews([]);
    if (project) {
      idOf(project)
        .then((id) => call("projects.get_by_id", { project: id }))
        .then((answer) => gone || setViews(viewsOf(answer.project.views)), () => undefined); // the reader's own views are there all the same
    }
    return () => {
      gone = true;
    };
  }, [project]);
  const change = async (/** @type {string} */ endpoint, /** @type {Record<string, string>} */ body) => {
    try {
      setViews(viewsOf((await call(endpoint, { project: await idOf(project), ...body })).views));
    } catch (error) {
      toast(/** @type {Error} */ (error).message, { bad: true });
    }
  };
  return { views, change };
}

/** @param {string} name */
async function idOf(name) {
  const found = (await projects()).find((one) => one.name === name);
  if (!found) throw new Error(`There is no project ${name}.`);
  return found.id;
}
