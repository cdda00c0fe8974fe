// /runs/<id>: the head of a run and its tabs. A tab is loaded when it is opened.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/hooks.js";
import { call } from "../core/api.js";
import { ahead, headCall, tabCalls } from "../core/first.js";
import { ago, duration, integer, ms, stampWithZone } from "../core/format.js";
import { loadStyle } from "../core/style.js";
import { address, go, place } from "../core/url.js";
import { CardMenu } from "../chart/card-menu.js";
import { a, button, div, form, h1, input, nav, p, span, use } from "../ui/html.js";
import { copyLink } from "../ui/copy-link.js";
import { useCall, useComponent, useKeys, useLeave, useSignal, useThrottled, useTitle } from "../ui/hooks.js";
import { icon } from "../ui/icons.js";
import { link } from "../ui/link.js";
import { Problem } from "../ui/problem.js";
import { Page } from "../ui/shell.js";
import { toast } from "../ui/toast.js";
import { RunDialogs } from "./run-dialogs.js";
import { RunStatus } from "./run-status.js";
import { useLiveRuns, withState } from "./run-live.js";
import { keepTab, tabHref } from "./run-tabs.js";

await Promise.all([loadStyle("run"), loadStyle("chart")]);

/**
 * `types`: events that concern the tab (missing: all of them); `live`: the tab paces itself.
 * @type {{name: string, label: string, load: () => Promise<{default: any}>, types?: string[], live?: boolean}[]}
 */
const TABS = [
  { name: "overview", label: "Overview", load: () => import("./overview.js") },
  { name: "charts", label: "Charts", load: () => import("./charts.js"), types: ["training_stats_scalar"], live: true },
  { name: "console", label: "Console", load: () => import("./console.js"), types: ["log"], live: true },
  { name: "images", label: "Images", load: () => import("./images.js"), types: ["training_debug_image"] },
  { name: "plots", label: "Plots", load: () => import("./plots.js"), types: ["plot"] },
  { name: "config", label: "Config", load: () => import("./config.js"), types: [] },
  { name: "artifacts", label: "Artifacts", load: () => import("./artifacts.js"), types: [] },
  { name: "storage", label: "Storage", load: () => import("./storage.js") },
];

/** The head, and tabs that reload completely, are updated at most this often. */
const HEAD_MS = 500;
const CALM_MS = 2_000;

/** @typedef {import("./run-dialogs.js").Action} Action */

/** @param {{id: string}} props */
export default function RunView({ id }) {
  const { params } = useSignal(place);
  const tab = TABS.find((one) => one.name === params.get("tab")) ?? TABS[1];
  const { component, failure } = useComponent(tab.load);
  const found = useCall(async (signal) => (await call(...headCall(id), { signal })).tasks[0] ?? null, [id]);
  const { revisionOf, states } = useLiveRuns([id], found.data ? [found.data] : undefined, found.again);
  const state = useThrottled(states.get(id), HEAD_MS);
  const run = useMemo(() => withState(found.data, state), [found.data, state]);
  const raised = revisionOf(tab.types ?? null);
  const calm = useThrottled(raised, CALM_MS);
  const revision = tab.live ? raised : calm;
  useTitle(run?.name ?? "Run");

  const tabs = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    tabs.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" }); // on a phone the tabs scroll
  }, [tab.name, Boolean(found.data)]);
  useLayoutEffect(() => {
    if (run && component) return; // the tab is loaded already and has sent its own calls
    for (const one of tabCalls(tab.name, id, params)) ahead(one);
  }, [id, tab.name]);

  keepTab(id, tab.name, params);
  useLeave((left) => keepTab(id, tab.name, left));
  const href = (/** @type {string} */ name) => tabHref(id, name);
  useKeys("Run", [
    ...TABS.map((one, index) => ({ keys: String(index + 1), does: one.label.toLowerCase(), run: () => go(href(one.name)) })),
  ]);
  const bar = useMemo(() => run && use(Head, { run, again: found.again }), [run]);

  if (found.data === null) {
    return use(
      Page,
      { class: "narrow" },
      div({ class: "blank" }, h1("This run does not exist"), p({ class: "muted" }, `There is no run ${id}. It was deleted, or you have no access to it.`), p(link({ href: "/" }, "All runs"))),
    );
  }
  return use(
    Page,
    { bar, class: "run" },
    found.error && !run && use(Problem, { error: found.error, again: found.again, title: "The run can't be shown" }),
    nav(
      { class: "tabs", ref: tabs, "aria-label": "Parts of the run" },
      TABS.map((one) => link({ key: one.name, href: href(one.name), "aria-current": one === tab ? "page" : undefined }, one.label)),
    ),
    failure && use(Problem, { error: failure }),
    run && component ? use(component, { key: `${id} ${tab.name}`, id, run, revision, again: found.again }) : !found.error && !failure && div({ class: "view-loading", "aria-busy": "true" }),
  );
}

/** @param {{run: any, again: () => void}} props */
function Head({ run, again }) {
  const [editing, setEditing] = useState(false);
  const [action, setAction] = useState(/** @type {Action} */ (""));
  const rename = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const name = String(new FormData(/** @type {HTMLFormElement} */ (event.target)).get("name")).trim();
    setEditing(false);
    if (!name || name === run.name) return;
    try {
      await call("tasks.update", { task: run.id, name });
      again();
    } catch (error) {
      toast(`The run was not renamed: ${/** @type {Error} */ (error).message}`, { bad: true });
    }
  };
  const actions = [
    { text: "Tag…", run: () => setAction("tag") },
    { text: run.system_tags?.includes("archived") ? "Unarchive…" : "Archive…", run: () => setAction("archive") },
    ...(run.status === "in_progress" ? [{ text: "Stop…", run: () => setAction("stop") }] : []),
    { text: "Delete…", run: () => setAction("delete") },
  ];
  const done = (/** @type {Action} */ finished) => {
    if (finished === "delete") go("/");
    else again();
  };
  const started = ms(run.started);
  const ended = run.status === "in_progress" ? ms(run.last_update) : ms(run.completed) || ms(run.last_update);
  return div(
    { class: "run-head" },
    editing
      ? form(
          { onSubmit: rename, class: "rename" },
          input({ name: "name", "aria-label": "Name of the run", value: run.name, autofocus: true, ref: (/** @type {any} */ field) => field?.focus(), onKeyDown: (/** @type {KeyboardEvent} */ event) => event.key === "Escape" && setEditing(false), onBlur: () => setEditing(false) }),
        )
      : h1({ class: "truncate", title: run.name }, button({ type: "button", class: "name-button truncate", title: "Rename", onClick: () => setEditing(true) }, run.name || "(no name)")),
    use(RunStatus, { run }),
    run.project?.name && link({ class: "muted truncate project-link", href: address("/", { project: run.project.name }), title: run.project.name }, run.project.name),
    run.system_tags?.includes("archived") && span({ class: "chip" }, "archived"),
    (run.tags ?? []).slice(0, 4).map((/** @type {string} */ tag) => span({ key: tag, class: "chip truncate", title: tag }, tag)),
    (run.tags ?? []).length > 4 && span({ class: "muted" }, `+${run.tags.length - 4}`),
    span({ class: "spread" }),
    !Number.isNaN(started) && span({ class: "muted took", title: `started ${stampWithZone(started)}` }, span({ class: "wide-only" }, `${ago(started)} · `), `took ${duration(Math.max(0, ended - started))} · step ${integer(run.last_iteration ?? 0)}`),
    link({ class: "button compare-link", href: address("/compare", { runs: run.id }) }, "Compare", span({ class: "wide-only" }, " with…")),
    a({ class: "icon-button", href: `/api/runs/${encodeURIComponent(run.id)}/export?format=html`, download: "", "aria-label": "Save as one HTML file", title: "Save as one HTML file that needs no server" }, icon("download")),
    use(CardMenu, { title: run.name || "the run", entries: actions }),
    use(RunDialogs, { open: action, runs: [run], onOpen: setAction, onDone: done }),
    button({ type: "button", class: "icon-button", "aria-label": "Copy link", title: "Copy link (u)", onClick: copyLink }, icon("link")),
  );
}
