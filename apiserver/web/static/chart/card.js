// A chart card: title, legend, facts, menu. Fetches its data while it is on screen.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/hooks.js";
import { color, dashOf } from "../core/colors.js";
import { generation } from "../core/connection.js";
import { exact, number, plural } from "../core/format.js";
import { theme } from "../core/theme.js";
import { setParams } from "../core/url.js";
import { Dialog } from "../ui/dialog.js";
import { button, div, figure, footer, h2, header, p, span, table, tbody, td, th, thead, tr, use } from "./elements.js";
import { useSignal } from "../ui/hooks.js";
import { icon } from "../ui/icons.js";
import { link } from "../ui/link.js";
import { Problem } from "../ui/problem.js";
import { toast } from "../ui/toast.js";
import { robustRange, valueRange } from "./buckets.js";
import { Chart } from "./chart.js";

import { switched } from "./find.js";
import { NOT_ON_LOG, at, atText, facts, outside, outsideText, spoken } from "./facts.js";
import { CardMenu } from "./card-menu.js";
import { FIXED, useCardState } from "./card-state.js";
import { storedAxis, writeRange, xText } from "./look.js";
import { withoutPauses } from "./process.js";
import { padded } from "./ranges.js";
import { seriesKey } from "./source.js";

/** @typedef {import("./source.js").Loaded} Loaded */
/** @typedef {import("./source.js").Wanted} Wanted */
/** @typedef {import("./chart.js").Look} Look */
/** @typedef {import("./card-state.js").Cursor} Cursor */
/**
 * @typedef {object} CardProps
 * @property {string} id            of the card among those of the view
 * @property {string} title
 * @property {Wanted[]} wanted
 * @property {(one: Loaded) => {name: string, pick: number}} label   how a series is called and coloured
 * @property {import("./source.js").SeriesSource} source
 * @property {Look} look
 * @property {import("../vendor/signals.js").Signal<Cursor>} cursor shared by the cards of a view
 * @property {(range: [number, number] | null, push?: boolean) => void} onRange
 * @property {() => void} [onBack]
 * @property {boolean} [pinned]
 * @property {() => void} [onPin]
 * @property {() => void} [onFull]
 * @property {boolean} [full]
 * @property {string} [file]        beginning of the names of downloads
 * @property {any} [note]
 * @property {boolean} [rewound]     void points are shown too
 * @property {() => Cursor} [fixed]  where the cursor stays when the pointer leaves
 * @property {(x: number, key: string) => void} [onPick] fixes it there
 * @property {(time: number) => string} [logAt] the address of the log at a time
 * @property {() => void} [onRewound] switches them; missing: the view has no such choice
 * @property {(one: Loaded, hide: boolean) => void} [onLine]   a click on a line of the legend: only it, or (`hide`) without it; missing: the card does it itself
 */

const NO_SERIES = /** @type {Loaded[]} */ ([]);
const TABLE_ROWS = 2_000;
/** Legend: names in one row, and the most names in a small card; the full size lists all. */
const ONE_ROW = 3;
const LISTED = 24;
/** Other cards update the cursor's values at most this often; its line follows at once. */
const FOLLOW_MS = 120;
const BELOW_MS = 50;
/** Offset from a line's pick to that of its void points. */
const VOID = 8;
/** Most buckets of a card, over all its lines; and the fewest per line. */
const BUCKETS = 20_000;
const LEAST_BUCKETS = 200;

/** @param {CardProps} props */
export function Card(props) {
  const { title, wanted, source, rewound = false, onRewound, fixed, onPick, logAt, look, cursor, onRange, onBack, pinned, onPin, onFull, full, file = "chart", onLine } = props;
  /** The full-size card lies on top of the small one and has its own id for the cursor. */
  const id = full ? `${props.id} full` : props.id;
  const host = useRef(/** @type {HTMLElement | null} */ (null));
  const chart = useRef(/** @type {Chart | null} */ (null));
  const token = useMemo(() => ({}), []);
  const [width, setWidth] = useState(0);
  const [loaded, setLoaded] = useState(/** @type {Loaded[] | null} */ (null));
  const [error, setError] = useState(/** @type {Error | null} */ (null));
  const [round, setRound] = useState(0);
  const { robust, setRobust, setBox, setOff, ...kept } = useCardState(props.id);
  const box = useMemo(() => kept.box, [kept.boxText]);
  const [asTable, setAsTable] = useState(false);
  const shownTheme = useSignal(theme);

  // Void points have their line's colour and another dash.
  const label = useMemo(() => (/** @type {Loaded} */ one) => (one.rewoundOf === undefined ? props.label(one) : { name: one.variant, pick: props.label({ ...one, variant: one.rewoundOf }).pick + VOID }), [props.label]);

  useLayoutEffect(() => {
    const element = /** @type {HTMLElement} */ (host.current);
    chart.current = new Chart(element);
    const observer = new ResizeObserver(() => setWidth(element.clientWidth + element.clientHeight / 10_000));
    observer.observe(element);
    setWidth(element.clientWidth + element.clientHeight / 10_000);
    return () => {
      observer.disconnect();
      chart.current?.destroy();
    };
  }, []);
  useEffect(() => () => source.leave(token), [source]);

  const lines = wanted.reduce((sum, one) => sum + (one.variants?.length || 1), 0);
  const fair = Math.max(LEAST_BUCKETS, Math.floor((full ? 2 * BUCKETS : BUCKETS) / lines));
  const buckets = Math.min(2000, fair, Math.max(100, 50 * Math.ceil((width || 400) / 50)));
  const stored = storedAxis(look.axis);
  // The process axis has no range of its own on the server: everything is fetched and cut here.
  const range = look.axis === "process" ? "" : writeRange(look.range);
  useLayoutEffect(() => {
    if (!width) return;
    const cut = { axis: stored, range: range ? look.range : null, buckets, rewound };
    source.want(token, wanted, cut, (series) => {
      setError(null);
      setLoaded(series);
    }, setError);
  }, [source, JSON.stringify(wanted), stored, range, buckets, rewound, width > 0, round]);

  // Failed requests are repeated when the connection is back.
  const connected = useSignal(generation);
  useEffect(() => {
    if (error) setRound((n) => n + 1);
  }, [connected]);

  const all = useMemo(() => (look.axis === "process" && loaded ? withoutPauses(loaded) : (loaded ?? NO_SERIES)), [loaded, look.axis]);
  const listed = useMemo(() => all.map((one) => ({ key: keyOf(one), buckets: one.buckets, ...label(one) })), [all, label]);
  const off = useMemo(() => new Set(listed.filter((one) => kept.off.includes(one.name)).map((one) => one.key)), [listed, kept.offText]);
  const shown = useMemo(() => lit(all, off), [all, off]);
  const series = useMemo(() => (shown === all ? listed : lit(listed, off)), [listed, shown]);
  const pick = (/** @type {string} */ key, /** @type {boolean} */ hide) => {
    const one = all.find((other) => keyOf(other) === key);
    if (one && onLine) onLine(one, hide);
    else {
      const next = switched(off, listed.map((other) => other.key), key, hide);
      setOff(listed.filter((other) => next.has(other.key)).map((other) => other.name));
    }
  };
  const ownLook = useMemo(() => ({ ...look, robust, box, bands: look.bands ?? series.length <= 6 }), [look, robust, box, series.length]);

  const drawn = useRef(false);
  useLayoutEffect(() => {
    const current = chart.current;
    if (!current || !width || loaded === null) return undefined;
    current.wishes = {
      onZoom: (chosen, chosenBox) => {
        setBox(chosenBox);
        onRange(chosen, true);
      },
      onBack: () => {
        setBox(null);
        if (onBack) onBack();
        else onRange(null, true);
      },
      onCursor: (x, key) => {
        cursor.value = x === null ? (fixed?.() ?? null) : { x, key, card: id };
      },
      onPick,
    };
    const draw = () => {
      drawn.current = true;
      current.show(series, ownLook);
      current.setCursor(cursor.value?.x ?? null);
      performance.mark("tm:useful");
    };
    // Cards in the window are drawn before those below it.
    const below = !drawn.current && /** @type {HTMLElement} */ (host.current).getBoundingClientRect().top > innerHeight;
    if (!below) return void draw();
    const timer = setTimeout(draw, BELOW_MS);
    return () => clearTimeout(timer);
  }, [series, ownLook, width, shownTheme]);

  useEffect(
    () =>
      cursor.subscribe((now) => {
        if (now?.card !== id) chart.current?.setCursor(now?.x ?? null);
      }),
    [cursor, id],
  );

  const name = `${file}_${title}${look.range ? `_${writeRange(look.range)}` : ""}`;
  const pixels = () => ({ width: Math.floor(width), height: host.current?.clientHeight ?? 200 });
  /** @param {(files: typeof import("./export.js")) => unknown} work */
  const saved = async (work) => {
    try {
      await work(await import("./export.js")); // loaded on demand: charts are seldom saved
    } catch (problem) {
      toast(String(/** @type {Error} */ (problem).message ?? problem), { bad: true });
    }
  };
  const menu = [
    { text: robust ? "Full range" : "Robust range", run: () => setRobust(!robust) },
    ...(onRewound ? [{ text: rewound ? "Hide rewound points" : "Show rewound points", run: onRewound }] : []),
    { text: "Show as table", run: () => setAsTable(true) },
    { text: "PNG", run: () => saved((files) => files.savePng(name, title, series, ownLook, pixels())) },
    { text: "SVG", run: () => saved((files) => files.saveSvg(name, title, series, ownLook, pixels())) },
    { text: "Figure (JSON of Plotly)", run: () => saved((files) => files.saveFigure(name, title, series, ownLook)) },
    { text: "CSV of what is drawn", run: () => saved((files) => files.saveDrawn(name, series, ownLook)) },
    ...(wanted.length === 1
      ? [{ text: "CSV of all points", run: () => saved((files) => files.saveAll(name, wanted[0].task, wanted[0].metric, wanted[0].variants ?? [])) }]
      : []),
  ];
  const empty = loaded !== null && !valueRange(shown.map((one) => one.buckets));
  return figure(
    { class: `chart-card${full ? " full" : ""}`, "data-card": props.id, tabIndex: 0, "aria-label": title, onKeyDown: (/** @type {KeyboardEvent} */ event) => stepCursor(event, shown, cursor, id) },
    header(
      h2({ class: "truncate", title }, title),
      robust && span({ class: "chart-tag" }, "robust"),
      box && button({ type: "button", class: "link", onClick: () => setBox(null) }, "box zoom, undo"),
      span({ class: "spread" }),
      onPin &&
        button({ type: "button", class: "icon-button small", "aria-pressed": pinned ? "true" : "false", "aria-label": pinned ? "Unpin" : "Pin", title: pinned ? "Unpin (p)" : "Pin (p)", onClick: onPin }, icon("pin")),
      onFull && button({ type: "button", class: "icon-button small", "aria-label": full ? "Small" : "Full size", title: full ? "Small (f)" : "Full size (f)", onClick: onFull }, icon("expand")),
      use(CardMenu, { title, entries: menu }),
    ),
    use(Legend, { id, all, series: listed, drawn: series, cursor, chart, most: full ? Infinity : LISTED, alone: Boolean(onLine), onPick: pick }),
    div(
      { class: "chart-plot" },
      div({ class: "chart-host", ref: host, role: "img", "aria-label": loaded ? spoken(title, shown, look.axis) : `${title}: loading` }),
      loaded === null && !error && div({ class: "skeleton" }),
      error && div({ class: "chart-message" }, use(Problem, { error, again: () => setRound(round + 1) })),
      empty && !error && div({ class: "chart-message muted" }, p(emptyText(shown, look))),
    ),
    use(Foot, { id, shown, look, cursor, chart, robust, onShow: () => setRobust(false), note: props.note, logAt }),
    asTable && use(Dialog, { title: `${title} as a table`, wide: true, onClose: () => setAsTable(false) }, use(AsTable, { shown, look, label })),
  );
}

/** @param {Loaded[]} shown @param {Look} look */
function emptyText(shown, look) {
  const said = facts(shown, look.axis, look.y);
  return shown.length ? `No finite values: ${said.slice(1).join(", ") || said[0]}.` : look.range ? "No points in this range." : "No points.";
}

/** The cursor by keys: left and right along the line, up and down to the next line. @param {KeyboardEvent} event @param {Loaded[]} shown @param {import("../vendor/signals.js").Signal<Cursor>} cursor @param {string} id */
function stepCursor(event, shown, cursor, id) {
  const by = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!by || event.target !== event.currentTarget || event.ctrlKey || event.metaKey || event.altKey) return;
  const next = event.key.endsWith("Left") || event.key.endsWith("Right") ? along(shown, cursor.value, event.shiftKey ? 10 * by : by) : across(shown, cursor.value, by);
  if (!next) return;
  event.preventDefault();
  cursor.value = { ...next, card: byKey(id) };
}

/** Some buckets further on the line that the cursor is on, or else on the longest. @param {Loaded[]} shown @param {Cursor} now @param {number} by */
function along(shown, now, by) {
  const one = shown.find((other) => keyOf(other) === now?.key) ?? [...shown].sort((a, b) => b.buckets.x.length - a.buckets.x.length)[0];
  const x = one?.buckets.x;
  if (!x?.length) return null;
  const from = now ? (at(one, now.x, undefined)?.i ?? 0) : by > 0 ? -1 : x.length;
  return { x: x[Math.min(x.length - 1, Math.max(0, from + by))], key: keyOf(one) };
}

/** The line below or above the one that the cursor is on. @param {Loaded[]} shown @param {Cursor} now @param {number} by */
function across(shown, now, by) {
  if (!now || shown.length < 2) return null;
  const order = shown.map((one) => ({ key: keyOf(one), value: at(one, now.x, undefined)?.mean ?? NaN })).sort((a, b) => b.value - a.value);
  const place = order.findIndex((one) => one.key === now.key);
  return { x: now.x, key: order[Math.min(order.length - 1, Math.max(0, place + by))].key };
}

/**
 * The cursor for a card's values: without delay in the card under the pointer, throttled in the others.
 * @param {import("../vendor/signals.js").Signal<Cursor>} cursor @param {string} id
 * @returns {Cursor}
 */
function useCursor(cursor, id) {
  const [now, setNow] = useState(cursor.value);
  useEffect(() => {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const follow = () => {
      clearTimeout(timer);
      timer = undefined;
      setNow(cursor.value);
    };
    const stop = cursor.subscribe((value) => {
      if (value && (value.card === id || value.card === byKey(id))) follow();
      else timer ??= setTimeout(follow, FOLLOW_MS);
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [cursor, id]);
  return now;
}

/** Owner id of a cursor that was moved by keys in a card: the card draws the cursor's line itself. @param {string} id */
const byKey = (id) => `${id} by key`;

/**
 * @param {{
 *   id: string, all: Loaded[], series: import("./chart.js").ChartSeries[], drawn: import("./chart.js").ChartSeries[], most: number, alone: boolean,
 *   cursor: import("../vendor/signals.js").Signal<Cursor>, chart: {current: Chart | null}, onPick: (key: string, hide: boolean) => void,
 * }} props `series`: one for each of `all`; `drawn`: those that are not hidden; `alone`: a single line is listed too
 */
function Legend({ id, all, series, drawn, cursor, chart, most, alone, onPick }) {
  const now = useCursor(cursor, id);
  if (series.length < (alone ? 1 : 2)) return null;
  const places = new Map(drawn.map((one, place) => [one.key, place]));
  let rows = series.map((one, s) => {
    const place = places.get(one.key);
    const found = now && place !== undefined ? at(all[s], now.x, chart.current?.smoothed[place]) : null;
    const { mean, count } = all[s].buckets;
    let last = mean.length - 1;
    while (last > 0 && !(count[last] > 0)) last--;
    return { ...one, value: found ? (found.smoothed ?? found.mean) : mean[last], since: all[s].firstNan, off: place === undefined };
  });
  if (now) rows.sort((a, b) => b.value - a.value);
  if (rows.length > most) {
    const near = rows.find((row) => now && row.key === now.key);
    rows = [...(near ? [near] : []), ...rows.filter((row) => row !== near)].slice(0, most);
  }
  return div(
    { class: series.length > ONE_ROW ? "chart-legend tall" : "chart-legend" },
    rows.map((row) =>
      button(
        {
          key: row.key,
          type: "button",
          class: `legend-entry${now && now.key === row.key ? " near" : ""}${row.off ? " off" : ""}`,
          title: `${row.name}\nClick: only this line; Ctrl+click: hide or show it`,
          "aria-pressed": row.off ? "false" : "true",
          onClick: (/** @type {MouseEvent} */ event) => onPick(row.key, event.ctrlKey || event.metaKey),
        },
        swatch(row.pick),
        span({ class: "truncate" }, row.name),
        span({ class: "num" }, number(row.value)),
        row.since !== null && span({ class: "flag", title: `NaN since ${row.since}` }, "NaN"),
      ),
    ),
  );
}

/** @param {{task: string, metric: string, variant: string}} one */
const keyOf = (one) => seriesKey(one.task, one.metric, one.variant);

/**
 * Lines that are not hidden; the same array when none is.
 * @template {Loaded | import("./chart.js").ChartSeries} Line
 * @param {Line[]} lines @param {Set<string>} off
 */
function lit(lines, off) {
  return off.size ? lines.filter((one) => !off.has("key" in one ? one.key : keyOf(one))) : lines;
}

/** A legend swatch: colour and dash. @param {number} pick */
export function swatch(pick) {
  return span({ class: `swatch dash-${dashOf(pick).length}`, "aria-hidden": "true", style: { color: color(pick) } });
}

/**
 * @param {{id: string, shown: Loaded[], look: Look, cursor: import("../vendor/signals.js").Signal<Cursor>, chart: {current: Chart | null}, robust: boolean, onShow: () => void, note?: any, logAt?: (time: number) => string}} props
 */
function Foot({ id, shown, look, cursor, chart, robust, onShow, note, logAt }) {
  const now = useCursor(cursor, id);
  if (now && shown.length) {
    const place = Math.max(0, shown.findIndex((one) => seriesKey(one.task, one.metric, one.variant) === now.key));
    const found = at(shown[place], now.x, chart.current?.smoothed[place]);
    return footer({ class: "chart-foot" }, found ? span({ class: "truncate" }, atText(found, look.axis, look.halfLife > 0)) : "", found && logAt && now.card === FIXED && link({ class: "link", href: logAt(found.time), title: "Show the log at this time (l)" }, "log"));
  }
  const range = robust ? robustRange(shown.map((one) => one.buckets), ...(look.range ?? [])) : null;
  const left = range ? outsideText(outside(shown, padded(range)), padded(range), look.axis) : "";
  const counted = shown.filter((one) => one.rewoundOf === undefined);
  const gone = shown.reduce((sum, one) => sum + (one.rewoundOf === undefined ? 0 : one.points), 0);
  const said = [...(shown.length > LISTED ? [plural(shown.length, "line")] : []), ...facts(counted, look.axis, look.y), ...(gone ? [`${plural(gone, "point")} rewound`] : [])].join(" · ");
  return footer(
    { class: "chart-foot" },
    left ? span("▲ ", left, " ", button({ type: "button", class: "link", onClick: onShow }, "show")) : shown.length ? said : "",
    !left && look.y === "log" && said.includes(NOT_ON_LOG) && span(" ", button({ type: "button", class: "link", onClick: () => setParams({ y: "sym" }) }, "Symlog")),
    note,
  );
}

/** @param {{shown: Loaded[], look: Look, label: CardProps["label"]}} props */
function AsTable({ shown, look, label }) {
  const rows = shown.flatMap((one) => [...one.buckets.x].map((x, i) => ({ one, x, i })));
  return div(
    { class: "scroll-box" },
    rows.length > TABLE_ROWS && p({ class: "muted" }, `The first ${plural(TABLE_ROWS, "row")} of ${plural(rows.length, "row")}; the CSV has all.`),
    table(
      { class: "plain" },
      thead(tr(th("Series"), th({ class: "num" }, "X"), th({ class: "num" }, "Mean"), th({ class: "num" }, "Min"), th({ class: "num" }, "Max"), th({ class: "num" }, "Points"), th({ class: "num" }, "NaN"))),
      tbody(
        rows.slice(0, TABLE_ROWS).map(({ one, x, i }) =>
          tr(
            td(label(one).name), td({ class: "num" }, xText(x, look.axis)), td({ class: "num" }, exact(one.buckets.mean[i])), td({ class: "num" }, exact(one.buckets.min[i])),
            td({ class: "num" }, exact(one.buckets.max[i])), td({ class: "num" }, one.buckets.count[i]), td({ class: "num" }, one.buckets.nan[i] || ""),
          ),
        ),
      ),
    ),
  );
}
