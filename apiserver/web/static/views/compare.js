// Two to a hundred runs side by side. The runs, the tab and hidden runs are in the URL.
import { useEffect, useMemo, useRef } from "../vendor/hooks.js";
import { call } from "../core/api.js";
import { plural } from "../core/format.js";
import { picks } from "../core/picks.js";
import { loadStyle } from "../core/style.js";
import { theme } from "../core/theme.js";
import { address, place, setParams } from "../core/url.js";
import { aside, div, h1, nav, p, use } from "../ui/html.js";
import { useCall, useComponent, useKeys, useSignal, useThrottled, useTitle } from "../ui/hooks.js";
import { icon } from "../ui/icons.js";
import { link } from "../ui/link.js";
import { Problem } from "../ui/problem.js";
import { Page } from "../ui/shell.js";
import { AddRuns } from "./compare-add.js";
import { RunList } from "./compare-list.js";
import { useLiveRuns, withState } from "./run-live.js";

await Promise.all([loadStyle("run"), loadStyle("chart"), loadStyle("runs"), loadStyle("compare")]);

const MOST = 100;
/** Tabs that reload completely do so at most this often. */
const CALM_MS = 2_000;

/**
 * `types`: events that concern the tab (missing: all of them); `live`: the tab paces itself.
 * @type {{name: string, label: string, load: () => Promise<{default: any}>, types?: string[], live?: boolean}[]}
 */
const TABS = [
  { name: "charts", label: "Charts", load: () => import("./compare-charts.js"), types: ["training_stats_scalar"], live: true },
  { name: "config", label: "Config", load: () => import("./compare-config.js"), types: [] },
  { name: "images", label: "Images", load: () => import("./compare-images.js"), types: ["training_debug_image"] },
  { name: "plots", label: "Plots", load: () => import("./compare-plots.js"), types: ["plot"] },
  { name: "values", label: "Values", load: () => import("./compare-values.js"), types: ["training_stats_scalar"] },
];
const FIELDS = ["name", "status", "tags", "started", "completed", "last_update", "last_change", "last_iteration", "project.name"];

/** @typedef {{id: string, name: string, pick: number, status: string, hidden: boolean, last_iteration: number, [field: string]: any}} Compared */

export default function Compare() {
  const { params } = useSignal(place);
  useSignal(theme);
  const text = params.get("runs") ?? "";
  const ids = useMemo(() => [...new Set(text.split(",").filter(Boolean))].slice(0, MOST), [text]);
  const tab = TABS.find((one) => one.name === params.get("tab")) ?? /** @type {(typeof TABS)[0]} */ (TABS[0]);
  const { component, failure } = useComponent(tab.load);
  useTitle(`Compare ${plural(ids.length, "run")}`);
  const found = useCall(async (signal) => (ids.length ? (await call("tasks.get_all_ex", { id: ids, only_fields: FIELDS }, { signal })).tasks : []), [ids.join(",")]);
  const tabs = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    tabs.current?.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" }); // on a phone the tabs scroll
  }, [tab.name, Boolean(found.data)]);
  const { revisionOf, states: fresh } = useLiveRuns(ids, found.data, found.again);
  const states = useThrottled(fresh, CALM_MS);
  const raised = revisionOf(tab.types ?? null);
  const calm = useThrottled(raised, CALM_MS);
  const revision = tab.live ? raised : calm;

  const hide = new Set((params.get("hide") ?? "").split(",").filter(Boolean));
  const solo = params.get("solo") ?? "";
  const pickOf = picks.of(ids);
  const byId = new Map((found.data ?? []).map((/** @type {any} */ run) => [run.id, withState(run, states.get(run.id))]));
  /** @type {Compared[]} */
  const runs = ids.flatMap((id) => {
    const run = byId.get(id);
    return run ? [{ ...run, name: run.name || id, pick: pickOf.get(id) ?? 32, hidden: solo ? solo !== id : hide.has(id) }] : [];
  });
  const missing = found.data ? ids.filter((id) => !byId.has(id)) : [];
  const toggle = (/** @type {string} */ id) => {
    const next = new Set(solo ? ids.filter((one) => one !== solo) : hide);
    if (!next.delete(id)) next.add(id);
    setParams({ hide: [...next].join(","), solo: "" });
  };
  const without = (/** @type {string} */ id) => setParams({ runs: ids.filter((one) => one !== id).join(","), hide: [...hide].filter((one) => one !== id).join(","), solo: solo === id ? "" : solo });
  const move = (/** @type {number} */ from, /** @type {number} */ by) => {
    const next = [...ids];
    const [one] = next.splice(from, 1);
    if (one) next.splice(from + by, 0, one);
    setParams({ runs: next.join(",") });
  };
  useKeys(
    "Tabs",
    TABS.map((one, index) => ({ keys: String(index + 1), does: one.label, run: () => setParams({ tab: index ? one.name : "" }, { push: true }) })),
  );
  if (!ids.length) {
    return use(
      Page,
      { class: "narrow" },
      div({ class: "blank" }, h1("Compare runs"), p({ class: "muted" }, "Select two runs or more in the table, then press c."), p(link({ href: "/", class: "button primary" }, "Choose runs"))),
    );
  }
  const bar = div({ class: "compare-bar" }, h1(`Compare ${plural(ids.length, "run")}`), use(AddRuns, { ids, most: MOST, onAdd: (/** @type {string} */ id) => setParams({ runs: [...ids, id].join(",") }) }));
  return use(
    Page,
    { bar },
    nav(
      { class: "tabs", ref: tabs, "aria-label": "Views of the comparison" },
      TABS.map((one, index) => link({ key: one.name, href: tabHref(params, index ? one.name : ""), "aria-current": one === tab ? "page" : undefined }, one.label)),
    ),
    found.error && use(Problem, { error: found.error, again: found.again }),
    failure && use(Problem, { error: failure }),
    missing.length > 0 && p({ class: "compare-missing", role: "status" }, icon("warning"), ` ${plural(missing.length, "run")} of this link no longer ${missing.length === 1 ? "exists" : "exist"}: ${missing.join(", ")}`),
    div(
      { class: "compare" },
      aside(
        { class: "compare-runs", "aria-label": "Compared runs" },
        use(RunList, { runs, solo, onMove: move, onToggle: toggle, onLeave: without, onSolo: (/** @type {string} */ id) => setParams({ solo: solo === id ? "" : id }) }),
      ),
      div({ class: "compare-main" }, component && runs.length > 0 && use(component, { runs, revision })),
    ),
  );
}

/** @param {URLSearchParams} params @param {string} tab */
function tabHref(params, tab) {
  const next = new URLSearchParams(params);
  next.delete("tab");
  if (tab) next.set("tab", tab);
  return address("/compare", next);
}
