// The charts of a run: a tree of metrics, a virtual grid of cards, a common axis, zoom and cursor.
import { useEffect, useMemo, useState } from "../vendor/hooks.js";
import { call } from "../core/api.js";
import { curvesCalls } from "../core/first.js";
import { integer, ms, plural } from "../core/format.js";
import { go, place, setParams } from "../core/url.js";
import { readNames, writeNames } from "../core/lists.js";
import { Card } from "../chart/card.js";
import { aside, button, div, h2, input, li, p, span, ul, use } from "../chart/elements.js";
import { filtered } from "../chart/find.js";
import { layout, VirtualGrid } from "../chart/grid.js";
import { NAMES_MS, UPDATE_MS, useChartSettings } from "../chart/settings.js";
import { SeriesSource } from "../chart/source.js";
import { Strip } from "../chart/strip.js";
import { ChartBar } from "../chart/bar.js";
import { openMenu, useCardGoal, useChartCursor, useFull } from "../chart/card-state.js";
import { useCall, useKeys, usePaced, useSignal, useThrottled } from "../ui/hooks.js";
import { Problem } from "../ui/problem.js";
import { logHref } from "./run-tabs.js";

/** @typedef {import("../chart/grid.js").CardSpec} CardSpec */
/** @typedef {Record<string, string[]>} Names variants by metric */

const SPLIT_FROM = 9;
const SIDE = 216;
/** From this many metrics on, listing takes seconds and is repeated less often. */
const MANY = 5_000;
const MANY_MS = 30_000;
/** @type {import("../chart/settings.js").Sizes} */
const SIZES = { S: { height: 250, columns: 3 }, M: { height: 300, columns: 2 }, L: { height: 400, columns: 1 } };

/** @param {{id: string, run: any, revision: number}} props */
export default function Charts({ id, run, revision }) {
  const { params } = useSignal(place);
  const source = useMemo(() => new SeriesSource(), [id]);
  const { cursor, cards: cursorOfCards, drop } = useChartCursor(id);
  const [full, setFull] = useFull();
  const [many, setMany] = useState(false);
  const slow = useThrottled(revision, many ? MANY_MS : NAMES_MS);
  const rewound = params.get("void") === "1";
  const names = useCall(
    async (abort) => {
      const [namesCall, curvesCall] = curvesCalls(id);
      const [all, charted] = await Promise.all([
        call(...namesCall, { signal: abort }),
        call(...curvesCall, { signal: abort }),
      ]);
      const shown = new Set(charted.metrics[0]?.metrics ?? []);
      const counting = /** @type {Names} */ (Object.fromEntries(Object.entries(all.metrics).filter(([metric]) => shown.has(metric))));
      // Metrics of which nothing counts any more: on request, and where there is nothing else.
      const gone = rewound || !shown.size ? /** @type {Names} */ ((await call("events.get_scalar_metrics_and_variants", { task: id, rewound: true }, { signal: abort })).metrics) : {};
      return { shown: rewound ? joined(counting, gone) : counting, gone: Object.keys(gone).length };
    },
    [id, slow, rewound],
  );
  const [goal, goTo] = useCardGoal(Boolean(names.data));
  useEffect(() => setMany(Object.keys(names.data?.shown ?? {}).length > MANY), [names.data]);
  const update = usePaced(() => source.update(), UPDATE_MS);
  useEffect(() => {
    if (revision) update();
  }, [revision]);

  const { look, range, filter, size, height, columns, setRange, back, bar, keys } = useChartSettings(SIZES, SIDE, (axis) => extent(run, axis));
  const pinText = params.get("pin") ?? "";
  const pins = useMemo(() => readNames(pinText), [pinText]);
  const cards = useMemo(() => cardsOf(id, names.data?.shown ?? {}), [id, names.data]);
  const chosen = useMemo(() => filtered(cards, filter), [cards, filter]);
  const rows = useMemo(() => layout(chosen, new Set(pins), columns, height), [chosen, pins, columns, height]);

  const turnRewound = () => setParams({ void: rewound ? "" : "1" });
  const logAt = (/** @type {number} */ time) => logHref(id, time);
  const togglePin = (/** @type {string} */ card) => setParams({ pin: writeNames(pins.includes(card) ? pins.filter((one) => one !== card) : [...pins, card]) });
  const focused = () => /** @type {HTMLElement | null} */ (document.activeElement)?.closest?.("[data-card]")?.getAttribute("data-card") ?? "";
  const move = (/** @type {number} */ by) => {
    const order = rows.flatMap((row) => row.cards ?? []);
    const now = order.findIndex((card) => card.id === focused());
    const next = order[Math.min(order.length - 1, Math.max(0, now + by))];
    if (next) goTo(next.id);
  };
  useKeys("Charts", [
    ...keys(() => cursor.value?.x),
    { keys: "j", does: "next card", run: () => move(1) },
    { keys: "k", does: "previous card", run: () => move(-1) },
    { keys: "p", does: "pin or unpin the card", run: () => focused() && togglePin(focused()) },
    { keys: "d", does: "menu of the card, with downloads", run: () => openMenu() },
    { keys: "f", does: "card in full size", run: () => setFull(full ? "" : focused()) },
    { keys: "l", does: "the log at the cursor's time", run: () => { const time = cursor.value && source.timeAt(cursor.value.x, look.axis === "wall"); if (time) go(logAt(time)); } },
    { keys: "/", does: "find series", run: () => /** @type {HTMLElement | null} */ (document.querySelector(".series-find"))?.focus() },
    { keys: "Escape", does: "one level back", run: () => (full ? setFull("") : cursor.value ? drop() : range && back()) },
  ]);

  const card = (/** @type {CardSpec} */ spec, large = false) =>
    use(Card, {
      key: spec.id, id: spec.id, title: spec.title, wanted: spec.wanted, source, look, ...cursorOfCards, logAt,
      label: spec.label ?? (spec.label = (one) => ({ name: one.variant || one.metric, pick: pickOf(spec, one.variant) })),
      onRange: setRange, onBack: back, pinned: pins.includes(spec.id), onPin: () => togglePin(spec.id),
      onFull: () => setFull(large ? "" : spec.id), full: large, file: run.name,
      rewound, onRewound: turnRewound,
    });
  const large = full && cards.find((one) => one.id === full);
  return div(
    { class: "charts" },
    use(ChartBar, { ...bar, small: true }),
    names.error && use(Problem, { error: names.error, again: names.again, title: "The list of series can't be read" }),
    div(
      { class: "charts-body" },
      use(Tree, { cards, chosen, filter, pins, onGo: (/** @type {string} */ one) => (size === "XS" ? setFull(one) : goTo(one)) }),
      div(
        { class: "charts-main" },
        names.data && !cards.length && (names.data.gone
          ? div({ class: "blank" }, h2("All points are rewound"), p({ class: "muted" }, "The run was rewound to a step before its first point. Its points are kept, but charts and statistics leave them out."), button({ type: "button", class: "button", onClick: turnRewound }, "Show rewound points"))
          : div({ class: "blank" }, h2("No scalars yet"), p({ class: "muted" }, "Charts appear as soon as the run reports numbers with an iteration."))),
        cards.length > 0 && !chosen.length && div({ class: "blank" }, p(`No series matches ${filter}. `, button({ type: "button", class: "link", onClick: () => setParams({ m: "" }) }, "Show all"))),
        size === "XS"
          ? use(Strip, { id, cards, chosen, pins, room: innerWidth - (innerWidth > 900 ? SIDE + 40 : 24), revision: slow, onOpen: (/** @type {CardSpec} */ spec) => setFull(spec.id) })
          : use(VirtualGrid, { rows, columns, height, render: (/** @type {CardSpec} */ spec) => card(spec), goal }),
      ),
    ),
    large && div({ class: "chart-overlay", role: "dialog", "aria-label": large.title }, card(large, true)),
  );
}

/** @param {CardSpec} spec @param {string} variant */
function pickOf(spec, variant) {
  // Variants of a card need different colours; a card with one line has the first.
  if (spec.variants.length === 1) return 0;
  const at = spec.variants.indexOf(variant);
  return at < 0 ? 32 : at;
}

/** @param {Names} one @param {Names} other */
function joined(one, other) {
  const metrics = [...new Set([...Object.keys(one), ...Object.keys(other)])].sort();
  return Object.fromEntries(metrics.map((metric) => [metric, [...new Set([...(one[metric] ?? []), ...(other[metric] ?? [])])].sort()]));
}

/**
 * A card per metric; for a metric with many variants, a card per variant.
 * @param {string} id
 * @param {Record<string, string[]>} names
 * @returns {CardSpec[]}
 */
function cardsOf(id, names) {
  return Object.entries(names).flatMap(([metric, variants]) => {
    const group = metric.includes("/") ? metric.slice(0, metric.indexOf("/")) : variants.length >= SPLIT_FROM ? metric : "";
    if (variants.length < SPLIT_FROM) {
      const title = variants.length === 1 && variants[0] && variants[0] !== metric ? `${metric} / ${variants[0]}` : metric;
      return [{ id: metric, title: title || "(no name)", group, variants, wanted: [{ task: id, metric, variants }] }];
    }
    return variants.map((variant) => ({ id: `${metric}/${variant}`, title: `${metric} / ${variant}`, group, variants: [variant], wanted: [{ task: id, metric, variants: [variant] }] }));
  });
}

/** First and last x of the run, as far as its task document tells. @param {any} run @param {string} axis @returns {[number, number]} */
function extent(run, axis) {
  if (axis === "step") return [0, Math.max(1, run.last_iteration ?? 1)];
  const from = ms(run.started) || ms(run.created) || 0;
  const to = Math.max(from + 1000, ms(run.last_update) || from);
  return axis === "wall" ? [from, to] : [0, to - from];
}

/** @param {{cards: CardSpec[], chosen: CardSpec[], filter: string, pins: string[], onGo: (id: string) => void}} props */
function Tree({ cards, chosen, filter, pins, onGo }) {
  const [open, setOpen] = useState(/** @type {Record<string, boolean>} */ ({}));
  const groups = useMemo(() => {
    /** @type {Map<string, CardSpec[]>} */
    const made = new Map();
    for (const card of chosen) {
      const members = made.get(card.group);
      if (members) members.push(card);
      else made.set(card.group, [card]);
    }
    const few = [...made].flatMap(([group, members]) => (group && members.length < 2 ? members : []));
    if (few.length) {
      for (const card of few) made.delete(card.group);
      const alone = new Set([...(made.get("") ?? []), ...few]);
      made.delete("");
      return /** @type {[string, CardSpec[]][]} */ ([["", chosen.filter((card) => alone.has(card))], ...made]);
    }
    return [...made];
  }, [chosen]);
  const entry = (/** @type {CardSpec} */ card) =>
    li({ key: card.id }, button({ type: "button", class: "tree-entry truncate", title: card.title, onClick: () => onGo(card.id) }, card.group && card.title.startsWith(card.group) ? card.title.slice(card.group.length).replace(/^[\s/]+/, "") : card.title));
  return aside(
    { class: "series-tree", "aria-label": "Series" },
    input({
      class: "series-find", type: "search", placeholder: "Find series", "aria-label": "Find series (regular expression)", value: filter, spellcheck: false,
      onInput: (/** @type {any} */ event) => setParams({ m: event.target.value }),
    }),
    p({ class: "muted small" }, filter ? `${integer(chosen.length)} of ${plural(cards.length, "chart")}` : plural(cards.length, "chart"), pins.length ? ` · ${pins.length} pinned` : ""),
    groups.map(([group, members]) => {
      if (!group) return ul({ key: "" }, members.slice(0, 200).map(entry));
      const isOpen = open[group] ?? (groups.length < 12 && members.length <= 12);
      return div(
        { key: group, class: "tree-group" },
        button({ type: "button", class: "tree-head", "aria-expanded": isOpen ? "true" : "false", onClick: () => setOpen({ ...open, [group]: !isOpen }) }, span({ class: "tree-arrow", "aria-hidden": "true" }, isOpen ? "▾" : "▸"), span({ class: "truncate" }, group), span({ class: "muted" }, integer(members.length))),
        isOpen && ul(members.slice(0, 200).map(entry)),
        isOpen && members.length > 200 && p({ class: "muted small" }, `and ${integer(members.length - 200)} more; use the search`),
      );
    }),
  );
}
