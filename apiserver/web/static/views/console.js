// The console of a run: a virtual list over the whole log.
import { useEffect, useLayoutEffect, useMemo, useReducer, useRef, useState } from "../vendor/hooks.js";
import { call, request, VERSION } from "../core/api.js";
import { stripAnsi } from "../core/ansi.js";
import { integer, plural, stampWithZone } from "../core/format.js";
import { loadStyle } from "../core/style.js";
import { param, place, setParams } from "../core/url.js";
import { save } from "../core/save.js";
import { button, div, h2, p, span, use } from "../ui/html.js";
import { useKeys, usePaced, usePosition, useSignal, useThrottled } from "../ui/hooks.js";
import { Problem } from "../ui/problem.js";
import { toast } from "../ui/toast.js";
import { ConsoleBar } from "./console-bar.js";
import { LogLine } from "./log-line.js";
import { LogMap } from "./log-map.js";
import { ROW, rowsFrom, rowsUpTo, useLogScroll } from "./log-scroll.js";
import { highlighter, searchLog } from "./log-search.js";
import { LogSource } from "./log-source.js";

await loadStyle("console");

/** New lines and the map are read at most this often. */
const READ_MS = 100;
const MAP_MS = 2_000;
const SLICES = 300;
const LISTED = 300;
/** `top` of a reader who follows the end, where the address alone would lead to a line. */
const END = "end";

/** @typedef {import("./log-search.js").Found} Found */

/** @param {{id: string, run: any, revision: number}} props */
export default function Console({ id, run, revision }) {
  const { params } = useSignal(place);
  const levelText = params.get("lvl") ?? "";
  const levels = useMemo(() => levelText.split(",").filter(Boolean), [levelText]);
  const [, again] = useReducer((n) => n + 1, 0);
  const source = useMemo(() => new LogSource(id, () => again(0)), [id]);
  const [overview, setOverview] = useState(/** @type {import("./log-map.js").Overview} */ ({ slices: [], total: 0, levels: {} }));
  const wrap = params.get("wrap") === "1";
  const setWrap = (/** @type {boolean} */ on) => setParams({ wrap: on ? "1" : "" });
  const time = params.get("time") ?? "clock";
  const setTime = (/** @type {string} */ name) => setParams({ time: name === "clock" ? "" : name });
  const [whole, setWhole] = useState(/** @type {Set<number>} */ (new Set()));
  const [unfolded, setUnfolded] = useState(/** @type {Set<number>} */ (new Set()));
  const picked = params.get("line") ? Number(params.get("line")) - 1 : -1;
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const scroll = useLogScroll(source, box);
  const now = useRef(scroll);
  now.current = scroll;
  const search = useSearch(id, levels, params, overview);
  /** A link says which line is shown: its first hit does not move the log. */
  const linkedTop = useRef(param("top") || param("t"));

  /** The first line at a time or after it. @param {number} time */
  const showTime = async (time) => {
    const position = await source.positionAt(time);
    if (source.closed || !param("t")) return undefined; // the address is another view's, or the reader has gone elsewhere
    if (position === null) return scroll.toEnd();
    setParams({ t: "", line: position + 1 });
    return scroll.goTo(position);
  };

  useLayoutEffect(() => {
    let gone = false;
    source.open().then(() => {
      if (gone) return;
      again(0);
      const [time, line, top] = [Number(param("t")), Number(param("line")), Number(param("top"))];
      if (top > 0) scroll.goTo(top - 1, 0);
      else if (param("top") === END) scroll.toEnd();
      else if (line > 0) scroll.goTo(line - 1);
      else if (time > 0) void showTime(time);
      else scroll.toEnd();
    });
    return () => {
      gone = true;
      source.close();
    };
  }, [source]);
  useEffect(() => {
    if (source.total < 0) return; // lines have priority
    call("events.get_task_log_overview", { task: id, slices: SLICES }).then(
      (answer) => setOverview(overviewOf(answer)),
      () => undefined, // the log works without the map
    );
  }, [id, useThrottled(revision, MAP_MS), source.total < 0]);
  const refresh = usePaced(async () => {
    await source.refresh();
    if (now.current.follow) now.current.toEnd();
  }, READ_MS);
  useEffect(() => {
    if (revision) refresh();
  }, [revision]);
  useLayoutEffect(() => scroll.measure(), [source.total, wrap]);

  const total = Math.max(0, source.total);
  const count = Math.ceil(scroll.height / ROW) + 2;
  const rows = scroll.atEnd ? rowsUpTo(source, total, count, unfolded) : rowsFrom(source, scroll.top, count, unfolded);
  const first = rows.find((row) => row.position >= 0)?.position ?? scroll.top;
  const last = rows[rows.length - 1]?.end ?? first;
  const worker = source.get(first)?.worker?.replace("<unknown>", "");
  const pattern = useMemo(() => highlighter(search.query), [search.query]);
  const { found, current } = search;
  const hit = found && current >= 0 ? found.hits[current] : undefined;

  const show = (/** @type {number} */ index) => {
    const line = found?.hits[index];
    if (!line) return;
    search.setCurrent(index);
    scroll.goTo(line.position);
  };
  const turn = (/** @type {number} */ by) => found?.hits.length && show((Math.max(-1, current) + by + found.hits.length) % found.hits.length);
  // Scrolls to the first hit as soon as it is found.
  useEffect(() => {
    if (!found?.hits.length || current >= 0) return;
    const linked = Number(param("hit"));
    if (linked > found.hits.length && !found.done) return;
    const index = Math.min(Math.max(linked, 1), found.hits.length) - 1;
    if (linkedTop.current) search.setCurrent(index);
    else show(index);
    linkedTop.current = "";
  }, [found]);
  usePosition(["top", "hit", "t"], () => (source.total < 0 ? {} : { top: !scroll.follow ? first + 1 : picked >= 0 || found ? END : "", hit: current > 0 ? current + 1 : "" }));
  const follow = () => (scroll.follow ? scroll.stop() : scroll.toEnd());
  useKeys("Console", [
    { keys: "/", does: "search the log", run: () => /** @type {HTMLElement | null} */ (document.querySelector(".log-find"))?.focus() },
    { keys: "n", does: "next hit", run: () => turn(1) },
    { keys: "N", does: "previous hit", run: () => turn(-1) },
    { keys: "f", does: "follow", run: follow },
    { keys: "w", does: "wrap lines", run: () => setWrap(!wrap) },
    { keys: "j | ArrowDown", does: "next line", run: () => scroll.by(1) },
    { keys: "k | ArrowUp", does: "previous line", run: () => scroll.by(-1) },
    { keys: "PageDown | Space", does: "next page", run: () => scroll.by(count - 3) },
    { keys: "PageUp | Shift+Space", does: "previous page", run: () => scroll.by(3 - count) },
    { keys: "Home", does: "beginning", run: () => scroll.goTo(0, 0) },
    { keys: "End", does: "end, and follow", run: () => scroll.toEnd() },
    { keys: "Escape", does: "end the search", run: () => setParams({ find: "", lvl: "" }) },
  ]);
  const download = async () => {
    try {
      const response = await request(`/v${VERSION}/events.download_task_log`, { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ task: id, line_type: "text" }) });
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      save(`${run.name || id}.log`, await response.blob());
    } catch (error) {
      toast(`The log was not downloaded: ${/** @type {Error} */ (error).message}`, { bad: true });
    }
  };
  const start = useMemo(() => Date.parse(run.started ?? "") || 0, [run.started]);

  return div(
    { class: "console" },
    use(ConsoleBar, { search, counts: overview.levels, levels, wrap, time, follow: scroll.follow, onTurn: turn, onWrap: () => setWrap(!wrap), onTime: setTime, onFollow: follow, onDownload: download }),
    source.error && use(Problem, { error: source.error, again: () => void source.refresh() }),
    div(
      { class: "log-body" },
      div(
        { class: "log-box", ref: box, tabIndex: 0, role: "region", "aria-label": "Log", onScroll: scroll.onScroll },
        div({ class: "log-space", style: { height: `${scroll.space}px` } }),
        div(
          { class: "log-window" },
          div(
            { class: `log-rows${wrap ? " wrap" : ""}${scroll.atEnd ? " at-end" : ""}`, style: scroll.atEnd ? {} : { transform: `translateY(${-scroll.offset}px)` } },
            rows.map((row) =>
              row.fold
                ? div(
                    { key: `fold ${row.position}`, class: "log-line fold" },
                    span({ class: "log-number" }),
                    span({ class: "log-text" }, `⋯ ${plural(row.fold, "progress line")} `, button({ type: "button", class: "link", onClick: () => setUnfolded(new Set(unfolded).add(row.group)) }, "show")),
                  )
                : row.line
                  ? use(LogLine, {
                      key: row.position, line: row.line, run: id, time, start, before: source.get(row.position - 1)?.timestamp ?? null, pattern,
                      current: row.position === hit?.position || row.position === picked, whole: whole.has(row.position),
                      onWhole: () => setWhole(new Set(whole).add(row.position)), onPick: () => setParams({ line: row.position + 1 }),
                    })
                  : div({ key: row.position, class: "log-line missing", "data-line": row.position }, span({ class: "log-number" }, integer(row.position + 1))),
            ),
          ),
        ),
        source.total === 0 && div({ class: "blank log-empty" }, h2("No log lines"), p({ class: "muted" }, "What the run prints appears here.")),
      ),
      use(LogMap, { slices: overview.slices, total, from: first, to: last, hits: mapHits(found), onGo: (/** @type {number} */ position) => scroll.goTo(position) }),
    ),
    found && found.hits.length > 1 && use(Hits, { found, current, onShow: show }),
    div(
      { class: "log-foot muted" },
      total ? `lines ${integer(first + 1)}–${integer(last)} of ${integer(total)}` : "",
      total && source.get(first) ? ` · ${stampWithZone(source.get(first)?.timestamp).slice(0, 19)}` : "",
      worker ? ` · ${worker}` : "",
    ),
  );
}

/** A sample of the hits for the map. @param {Found | null} found */
function mapHits(found) {
  if (!found) return [];
  const every = Math.ceil(found.hits.length / 1000);
  return found.hits.filter((_, index) => index % every === 0).map((line) => line.position);
}

/** @param {any} answer @returns {import("./log-map.js").Overview} */
function overviewOf(answer) {
  /** @type {Record<string, number>} */
  const levels = {};
  const slices = answer.position.map((/** @type {number} */ position, /** @type {number} */ at) => ({ position, start: answer.start[at], count: answer.count[at], bad: 0, warn: 0 }));
  for (const { level, count } of answer.levels) {
    const name = String(level ?? "").toLowerCase();
    count.forEach((/** @type {number} */ lines, /** @type {number} */ at) => {
      if (name) levels[name] = (levels[name] ?? 0) + lines;
      if (name === "error" || name === "critical" || name === "fatal") slices[at].bad += lines;
      if (name === "warning" || name === "warn") slices[at].warn += lines;
    });
  }
  return { slices, total: answer.total, levels };
}

/**
 * The search of the URL, and its hits so far.
 * @param {string} id @param {string[]} levels @param {URLSearchParams} params @param {import("./log-map.js").Overview} overview
 */
function useSearch(id, levels, params, overview) {
  const known = useRef(overview);
  known.current = overview;
  const text = params.get("find") ?? "";
  const regex = params.get("re") === "1";
  const matchCase = params.get("case") === "1";
  const query = useMemo(() => ({ text, regex, ignoreCase: !matchCase, levels }), [text, regex, matchCase, levels]);
  const [found, setFound] = useState(/** @type {Found | null} */ (null));
  const [current, setCurrent] = useState(-1);
  const control = useRef(/** @type {AbortController | null} */ (null));
  useEffect(() => {
    control.current?.abort();
    setFound(null);
    setCurrent(-1);
    if (!query.text && !query.levels.length) return undefined;
    const mine = new AbortController();
    control.current = mine;
    const timer = setTimeout(() => void searchLog(id, query, (when) => positionOf(known.current, when), (now) => mine.signal.aborted || setFound(now), mine.signal), 100);
    return () => {
      clearTimeout(timer);
      mine.abort();
    };
  }, [id, query]);
  return {
    query, found, current, setCurrent,
    set: (/** @type {{text?: string, regex?: boolean, matchCase?: boolean}} */ next) =>
      setParams({
        ...(next.text === undefined ? {} : { find: next.text }),
        ...(next.regex === undefined ? {} : { re: next.regex ? "1" : "" }),
        ...(next.matchCase === undefined ? {} : { case: next.matchCase ? "1" : "" }),
      }),
    stop: () => {
      control.current?.abort();
      setFound((old) => old && { ...old, done: true, more: true });
    },
  };
}

/** Approximate position of a time, from the map. @param {import("./log-map.js").Overview} overview @param {number} when */
function positionOf({ slices }, when) {
  const after = slices.find((slice) => slice.start > when);
  const last = slices[slices.length - 1];
  return after ? after.position : last ? last.position : 0;
}

/** @param {{found: Found, current: number, onShow: (index: number) => void}} props */
function Hits({ found, current, onShow }) {
  return div(
    { class: "log-hits", role: "region", "aria-label": "Hits", tabIndex: 0 },
    found.hits.slice(0, LISTED).map((line, index) =>
      button({ key: line.position, type: "button", class: `log-hit${index === current ? " current" : ""}`, onClick: () => onShow(index) }, span({ class: "log-number" }, integer(line.position + 1)), span({ class: "truncate" }, stripAnsi(line.msg).slice(0, 300))),
    ),
    found.hits.length > LISTED && p({ class: "muted" }, `The first ${LISTED} are listed; n and N step through all.`),
  );
}
