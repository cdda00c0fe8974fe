// The view with the runs table: filter, columns, order, selection. All but the column widths is in the URL.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/hooks.js";
import { hiddenRuns, picks, toggleHidden } from "../core/picks.js";
import { ROW_FIELDS, SORT, remember, rowsCall } from "../core/first.js";
import { integer, ms } from "../core/format.js";
import { watch } from "../core/live.js";
import { loadStyle } from "../core/style.js";
import { theme } from "../core/theme.js";
import { thumbnailsCall } from "../core/thumbnails.js";
import { go, param, place, runHref, setParams } from "../core/url.js";
import { remembered, rememberedSeries, series, seriesOfProject, vocabulary } from "../core/vocabulary.js";
import { column, defaults, orderBy } from "../query/columns.js";
import { compile } from "../query/compile.js";
import { save } from "../core/save.js";
import { csv } from "../query/csv.js";
import { LanguageError, parse, quote, wordOf } from "../query/language.js";
import { button, div, fragment, h1, p, span, use } from "../ui/html.js";
import { useCall, useKeys, usePaced, usePolling, usePosition, useSignal, useTitle } from "../ui/hooks.js";
import { icon } from "../ui/icons.js";
import { Menu } from "../ui/menu.js";
import { Problem } from "../ui/problem.js";
import { Page } from "../ui/shell.js";
import { toast } from "../ui/toast.js";
import { rowsAtFirst } from "../ui/virtual.js";
import { Empty } from "./empty.js";
import { Facets } from "./facets.js";
import { Filter } from "./filter.js";
import { GroupMenu, Groups } from "./runs-groups.js";
import { Nothing } from "./nothing.js";
import { Bulk } from "./runs-bulk.js";
import { ColumnPicker } from "./runs-columns.js";
import { useCurves } from "./runs-curves.js";
import { Rows } from "./runs-data.js";
import { ROW, RunsTable } from "./runs-table.js";
import { SavedViews } from "./saved-views.js";

/** Least ms between reads of: changed rows, the list after a change, the list without one. */
const ROWS_MS = 500;
const LIST_MS = 1_000;
const RELIST_MS = 30_000;
/** Delays for reading names: again, if they are known from before a reload; the rest of them, if rows and series are the first to be shown. */
const BEHIND_MS = 1_500;
const SOON_MS = 300;
const EXPORTED = 10_000;
const MOST_SELECTED = 10_000;
/** Rows of a large window. */
const ON_SCREEN = 50;
/** px of a phone's window. */
const NARROW = 720;

await loadStyle("runs");

export default function Runs() {
  const { params } = useSignal(place);
  useSignal(theme);
  const q = params.get("q") ?? "";
  const project = params.get("project") ?? "";
  const sort = params.get("sort") ?? SORT;
  const group = (params.get("group") ?? "").split(",").filter(Boolean);
  const selected = useMemo(() => new Set((params.get("sel") ?? "").split(",").filter(Boolean)), [params.get("sel")]);
  const hidden = useSignal(hiddenRuns);
  const [cursor, setCursor] = useState(-1);
  const [mistake, setMistake] = useState(/** @type {import("../query/language.js").Mistake | null} */ (null));
  const [seen, setSeen] = useState(/** @type {[number, number]} */ ([0, 0]));
  const range = useRef({ from: 0, to: 0, atTop: true });
  useTitle(project ? `Runs of ${project}` : "Runs");

  const chosen = params.get("cols")?.split(",").filter(Boolean);
  // After a reload the table starts with the names from before and reads them in the background.
  const before = useMemo(() => (project && !chosen ? null : withOwn(remembered())), []);
  // A query that needs no names is sent at once; default columns need those of series only.
  const plain = !q.trim() && !project && orderBy(sort, NO_NAMES).length === sort.split(",").filter(Boolean).length;
  const isDefault = plain && !chosen && !before;
  const seriesBefore = useMemo(rememberedSeries, []);
  const first = useCall(() => (isDefault && !seriesBefore ? series() : null), [isDefault]);
  const names = useCall(async () => {
    if (isDefault && !seriesBefore) await series();
    if (before || isDefault) await new Promise((done) => setTimeout(done, before || seriesBefore ? BEHIND_MS : SOON_MS));
    // The default columns of a project show its own series.
    const [all, own] = await Promise.all([vocabulary(), project && !chosen ? seriesOfProject(project) : null]);
    return before && same(before, all) ? before : { ...all, own: own ?? all.series };
  }, [chosen ? "" : project]);
  const early = useMemo(() => {
    const found = project ? null : first.data ?? seriesBefore;
    return found && { ...NO_NAMES, series: found, own: found };
  }, [first.data, project]);
  const shownNames = names.data ?? before ?? early;
  const known = names.data ?? before ?? (plain ? early ?? NO_NAMES : undefined);
  const listed = shownNames ?? known;
  const cols = listed && (chosen ?? defaults(listed.own, innerWidth <= NARROW).filter((id) => !(project && id === "project")));
  const made = useMemo(() => (listed && cols ? cols.flatMap((id) => column(id, listed) ?? []) : []), [listed, cols?.join(",")]);
  const columns = useMemo(() => made, [JSON.stringify(made)]); // the same as long as new names mean the same columns
  const fields = [...new Set([...ROW_FIELDS, ...columns.flatMap((one) => one.fields)])].sort();

  // The rows of the last complete answer stay until the next one is there.
  const list = JSON.stringify([q, project, sort]);
  const kept = useRef(/** @type {{rows: Rows, list: string} | null} */ (null));
  const answer = useCall(
    (signal) => {
      if (!known) return null;
      const text = project ? `${q} project:${quote(project)}` : q;
      const { terms, mistake: wrong } = parse(text);
      setMistake(wrong);
      if (wrong) return null;
      return (async () => {
        let query;
        try {
          query = await compile(terms, known);
        } catch (error) {
          if (!(error instanceof LanguageError)) throw error;
          setMistake(error.mistake);
          return null;
        }
        const rows = new Rows(query, orderBy(sort, known), fields);
        signal.addEventListener("abort", () => rows.stop());
        // Rows that are in view, or were when the table was left, come with the first ones.
        const again = kept.current?.list === list ? kept.current.rows : null;
        const from = again ? range.current.from : Math.max(0, Number(param("top")) - 1 || 0);
        rows.expected = again ? again.length : from;
        await rows.start(from, again ? range.current.to : from + ON_SCREEN);
        return { rows, list };
      })();
    },
    [plain || known, q, project, sort],
  );
  if (answer.data) kept.current = answer.data;
  const rows = kept.current?.rows ?? null;
  const version = useSignal(rows?.changed ?? NEVER);
  const failed = useSignal(rows?.error ?? NEVER);

  const relist = usePaced(async () => {
    const { from, to, atTop } = range.current;
    await rows?.refresh(from, to, atTop);
  }, LIST_MS);
  usePolling(relist, RELIST_MS); // for deleted or archived runs, and changes of the order

  // Until the table has measured itself, the rows that a window of this height shows.
  const [view, setView] = useState(() => {
    const from = Math.max(0, Number(param("top")) - 1 || 0);
    return { first: from, last: from + rowsAtFirst(ROW) };
  });
  const inView = rows ? rows.ids(view.first, view.last) : [];
  const dirty = useLiveRows(rows, inView, relist);
  const sparks = columns.flatMap((one) => one.spark ?? []);
  const curves = useCurves(inView, sparks, dirty, version, {
    onFirst: (ids) => rows && !view.first && remember(params, [rowsCall(rows.query, rows.order, rows.fields, 0), thumbnailsCall(ids, sparks)]),
    onRead: () => rows?.settled(),
  });
  useMemo(() => rows?.widen(fields, view.first, view.last), [rows, fields.join(",")]); // sent before the rows are rendered, as the first curves
  useLayoutEffect(() => {
    if (shownNames && inView.length && !sparks.length) rows?.settled();
  }, [rows, Boolean(shownNames), inView.length > 0, sparks.length]);
  // The cursor stays on its run when rows are inserted above.
  const cursorRun = useRef("");
  useEffect(() => {
    cursorRun.current = rows?.runs.get(cursor)?.id ?? "";
  }, [cursor]);
  useEffect(() => {
    if (!rows || !cursorRun.current || rows.runs.get(cursor)?.id === cursorRun.current) return;
    for (const [index, run] of rows.runs) if (run.id === cursorRun.current) setCursor(index);
  }, [version]);

  const select = (/** @type {string[]} */ ids, /** @type {boolean} */ on) => {
    const next = new Set(selected);
    for (const id of ids) next[on ? "add" : "delete"](id);
    setParams({ sel: [...next].join(",") });
  };
  const chooseAll = async () => {
    try {
      const ids = await rows?.allIds(MOST_SELECTED);
      if (ids) setParams({ sel: [...new Set([...param("sel").split(",").filter(Boolean), ...ids])].join(",") });
    } catch (caught) {
      if (!rows?.control.signal.aborted) toast(/** @type {Error} */ (caught).message, { bad: true });
    }
  };
  const sortBy = (/** @type {string} */ id, /** @type {boolean} */ add) => {
    const parts = sort.split(",").filter(Boolean);
    const at = parts.findIndex((one) => one === id || one === `-${id}`);
    // The first click on a column shows the smallest loss or the newest time first.
    const next = at < 0 ? (["started", "ended", "updated", "iter"].includes(id) || id.startsWith("max:") ? `-${id}` : id) : parts[at]?.startsWith("-") ? id : `-${id}`;
    const all = add ? (at < 0 ? [...parts, next] : parts.map((one, index) => (index === at ? next : one))) : [next];
    setParams({ sort: all.join(",") === SORT ? "" : all.join(",") });
  };
  const filter = (/** @type {string} */ text) => setParams({ q: text });
  const differing = async (/** @type {import("../query/columns.js").Column} */ { title, facet }) => {
    const [field = "", name = ""] = facet ?? [];
    try {
      const usual = await rows?.usual(field);
      if (usual === null) toast(`${title} is the same in all runs, or different in each`);
      else if (usual !== undefined) filter(`${q} -${name}:${quote(name === "status" ? wordOf(usual) : usual)}`.trim());
    } catch (caught) {
      if (!rows?.control.signal.aborted) toast(/** @type {Error} */ (caught).message, { bad: true });
    }
  };
  const move = (/** @type {number} */ by) => setCursor((old) => (old < 0 ? seen[0] : Math.max(0, Math.min((rows?.length ?? 1) - 1, old + by))));
  usePosition(["top"], () => (rows && !group.length ? { top: seen[0] > 0 ? seen[0] + 1 : "" } : {}));
  const open = (/** @type {boolean} */ tab) => {
    const run = rows?.runs.get(cursor);
    if (!run) return;
    if (tab) window.open(runHref(run.id), "_blank", "noopener");
    else go(runHref(run.id));
  };
  const at = () => rows?.runs.get(cursor);
  useKeys("Runs", [
    { keys: "j | ArrowDown", does: "next run", run: () => move(1) },
    { keys: "k | ArrowUp", does: "previous run", run: () => move(-1) },
    { keys: "Space", does: "select", run: () => { const run = at(); if (run) select([run.id], !selected.has(run.id)); } },
    { keys: "Shift+ArrowDown", does: "select and go on", run: () => { const run = at(); if (run) select([run.id], true); move(1); } },
    { keys: "Enter", does: "open", run: () => open(false) },
    { keys: "o", does: "open in a new tab", run: () => open(true) },
    { keys: "h", does: "hide the run in charts", run: () => { const run = at(); if (run) toggleHidden(run.id); } },
  ]);

  const pickOf = useMemo(() => (rows ? picks.of([...new Set([...selected, ...inView])]) : new Map()), [inView.join(","), selected]);
  const exported = async () => {
    if (!rows) return;
    const chosen = selected.size ? await rows.read([...selected]) : await rows.all(EXPORTED);
    const shown = columns.filter((one) => !one.spark);
    save("runs.csv", csv(["id", "name", ...shown.map((one) => (one.id === "took" ? "took_ms" : one.id))], chosen.map((run) => [run.id, run.name, ...shown.map((one) => RAW[one.id]?.(run) ?? one.value?.(run) ?? one.text(run))])));
    toast(`${integer(chosen.length)} runs saved as runs.csv`);
  };

  const bar = fragment(
    use(Filter, { value: q, onChange: filter, mistake }),
    use(SavedViews, {}),
    listed && use(GroupMenu, { group, names: listed, onChange: (/** @type {string[]} */ keys) => setParams({ group: keys.join(",") }) }),
    listed &&
      cols &&
      use(Menu, { label: fragment(icon("columns"), span({ class: "wide-only" }, "Columns")), title: "Columns", children: () => use(ColumnPicker, { chosen: cols, names: listed, onChange: (/** @type {string[] | null} */ ids) => setParams({ cols: ids?.join(",") }) }) }),
  );
  const error = names.error ?? answer.error ?? failed;
  const nothing = rows && rows.length === 0 && !answer.loading;
  if (nothing && !q && !project) return use(Page, { bar }, use(Empty, {}));
  return use(
    Page,
    { bar, class: "runs-page" },
    h1({ class: "visually-hidden" }, project ? `Runs of ${project}` : "Runs"),
    rows &&
      use(Facets, {
        rows,
        version,
        seen,
        q,
        project,
        parameters: names.data?.parameters,
        onFilter: filter,
        onDownload: () => void exported(),
        onNews: () => document.querySelector(".runs-scroll")?.scrollTo(0, 0),
      }),
    error && use(Problem, { error, again: names.error ? names.again : answer.again }),
    nothing && !error && !group.length && known && use(Nothing, { q, project, query: rows.query, names: known }),
    group.length > 0 && rows && names.data
      ? use(Groups, { rows, group, columns, names: names.data, onOpen: (/** @type {string} */ text) => setParams({ q: `${q} ${text}`.trim(), group: "" }, { push: true }) })
      : rows && (shownNames || names.error)
        ? !nothing &&
          use(RunsTable, {
            rows,
            list: kept.current?.list ?? "",
            top: Number(params.get("top")) || 0,
            columns,
            sort,
            onSort: sortBy,
            onDiffering: differing,
            selected,
            onSelect: select,
            picks: pickOf,
            hidden,
            onHide: toggleHidden,
            cursor,
            onCursor: setCursor,
            curves,
            busy: answer.loading,
            onSeen: setSeen,
            onRange: (/** @type {number} */ first, /** @type {number} */ last, /** @type {boolean} */ atTop) => {
              range.current = { from: first, to: last, atTop };
              setView((old) => (old.first === first && old.last === last ? old : { first, last }));
              rows.ensure(first, last);
            },
          })
        : mistake
          ? div({ class: "blank narrow-blank" }, p("The filter has an error: ", mistake.message), button({ type: "button", class: "button", onClick: () => filter("") }, "Clear the filter"))
          : !error && div({ class: "runs-loading", "aria-busy": "true" }, Array.from({ length: 12 }, (_, index) => div({ key: index, class: "skeleton-row" }, span({ class: "skeleton" })))),
    rows && use(Bulk, { selected, rows, onAll: chooseAll, onClear: () => setParams({ sel: "" }), onDone: answer.again, onExport: () => void exported() }),
  );
}

/**
 * Keeps rows in view up to date.
 * @param {Rows | null} rows @param {string[]} inView @param {() => void} relist reads the list again
 * @returns {{current: Set<string>}} runs with new events; the caller removes them when it has read their curves
 */
function useLiveRows(rows, inView, relist) {
  const dirty = useRef(/** @type {Set<string>} */ (new Set()));
  const changed = useRef(/** @type {Set<string>} */ (new Set()));
  const mine = useRef(/** @type {ReturnType<typeof watch> | null} */ (null));
  const shown = useRef(rows);
  shown.current = rows;
  const reread = usePaced(async () => {
    const ids = [...changed.current];
    changed.current.clear();
    try {
      await shown.current?.update(ids);
    } catch (error) {
      for (const id of ids) changed.current.add(id);
      throw error;
    }
  }, ROWS_MS);
  useEffect(() => {
    const one = watch(({ events, runs, gone, newest, lost }) => {
      for (const id of events.keys()) {
        changed.current.add(id);
        dirty.current.add(id);
      }
      const before = new Map([...(shown.current?.runs.values() ?? [])].map((run) => [run.id, run]));
      let list = lost || gone.length > 0 || (typeof newest === "string" && !before.has(newest));
      for (const run of runs) {
        const old = before.get(run.id);
        if (!old || (old.status === run.status && ms(old.last_update) === ms(run.last_update))) continue;
        changed.current.add(run.id);
        if (old.status !== run.status) list = true;
      }
      if (changed.current.size) reread();
      if (list) relist();
    });
    mine.current = one;
    return one.stop;
  }, []);
  const ids = inView.join("\n");
  useEffect(() => mine.current?.want(inView, true), [ids, rows]);
  return dirty;
}

/** Whether two vocabularies have the same names. @param {{parameters: any, series: any}} one @param {{parameters: any, series: any}} other */
const same = (one, other) => JSON.stringify([one.parameters, one.series]) === JSON.stringify([other.parameters, other.series]);

/** @param {ReturnType<typeof remembered>} names */
const withOwn = (names) => names && { ...names, own: names.series };

/** The vocabulary before names are read. */
const NO_NAMES = { parameters: [], series: [], own: [], values: async () => [], projects: async () => [], users: async () => [] };
const NEVER = { value: /** @type {any} */ (null) };

/** Raw values for CSV in place of the page's formatted ones. @type {Record<string, (run: import("../query/columns.js").Run) => unknown>} */
const RAW = { started: (run) => run.started ?? "", ended: (run) => run.completed ?? "", updated: (run) => run.last_update ?? "" };
