// The figures of a run. They are drawn in a sandboxed frame; tables are real tables of this page.
import { useEffect, useMemo, useRef, useState } from "../vendor/hooks.js";
import { call, request } from "../core/api.js";
import { fileUrl, isOwn, loadPrefixes } from "../core/files.js";
import { integer, number, plural } from "../core/format.js";
import { theme, token } from "../core/theme.js";
import { place, setParams } from "../core/url.js";
import { button, div, h2, iframe, input, p, section, span, table, tbody, td, th, thead, tr, use } from "../chart/elements.js";
import { useCall, useKeys, useSignal } from "../ui/hooks.js";
import { Problem } from "../ui/problem.js";
import { toast } from "../ui/toast.js";

/** @typedef {{id: string, metric: string, variant: string, iter: number, min: number, max: number, text: string, scroll: string, images: (Blob | null)[]}} Figure */

const MOST_TEXT = 50_000_000;
const TABLE_ROWS = 500;

/** @param {{id: string, revision: number}} props */
export default function Plots({ id, revision }) {
  const { params } = useSignal(place);
  const filter = params.get("m") ?? "";
  const [stepped, setStepped] = useState(/** @type {Map<string, Figure[]>} */ (new Map()));
  const found = useCall(async (signal) => {
    await loadPrefixes();
    const { plots } = await call("events.get_task_plots", { task: id, iters: 1 }, { signal });
    const metrics = [...new Set(plots.map((/** @type {any} */ plot) => plot.metric))];
    const ranges = new Map(
      await Promise.all(
        metrics.slice(0, 40).map(async (metric) => {
          const sample = await call("events.get_plot_sample", { task: id, metric }, { signal });
          return /** @type {[string, any]} */ ([metric, { min: sample.min_iteration, max: sample.max_iteration, scroll: sample.scroll_id }]);
        }),
      ),
    );
    return Promise.all(plots.map((/** @type {any} */ plot) => figureOf(plot, ranges.get(plot.metric))));
  }, [id, Math.floor(revision / 5)]);
  useKeys("Plots", [{ keys: "/", does: "find plot", run: () => /** @type {HTMLElement | null} */ (document.querySelector(".plot-find"))?.focus() }]);

  /** @type {Figure[]} */
  const all = found.data ?? [];
  const figures = useMemo(() => {
    const now = all.map((one) => stepped.get(one.metric)?.find((other) => other.variant === one.variant) ?? one);
    return now.filter((one) => `${one.metric}/${one.variant}`.toLowerCase().includes(filter.toLowerCase()));
  }, [all, stepped, filter]);
  const tables = useMemo(() => figures.map((one) => ({ one, table: tableOf(one.text) })).filter((entry) => entry.table), [figures]);
  const drawn = useMemo(() => figures.filter((one) => !tables.some((entry) => entry.one === one)), [figures, tables]);

  const step = async (/** @type {string} */ figureId, /** @type {{direction?: string, iteration?: number}} */ { direction, iteration }) => {
    const one = figures.find((other) => other.id === figureId);
    if (!one) return;
    try {
      const sample =
        iteration !== undefined
          ? await call("events.get_plot_sample", { task: id, metric: one.metric, iteration })
          : await call("events.next_plot_sample", { task: id, scroll_id: (await call("events.get_plot_sample", { task: id, metric: one.metric, iteration: one.iter })).scroll_id, navigate_earlier: direction === "earlier", next_iteration: true });
      if (!sample.events.length) return;
      const range = { min: sample.min_iteration ?? one.min, max: sample.max_iteration ?? one.max, scroll: sample.scroll_id };
      const next = await Promise.all(sample.events.map((/** @type {any} */ plot) => figureOf(plot, range)));
      setStepped((old) => new Map(old).set(one.metric, next));
    } catch (error) {
      toast(/** @type {Error} */ (error).message, { bad: true });
    }
  };

  if (found.error && !found.data) return use(Problem, { error: found.error, again: found.again });
  if (!found.data) return div({ class: "view-loading", "aria-busy": "true" });
  return div(
    all.length > 0 &&
      div(
        { class: "view-bar" },
        input({ type: "search", class: "plot-find", placeholder: "Find plot", "aria-label": "Find plot", value: filter, onInput: (/** @type {any} */ event) => setParams({ m: event.target.value }) }),
        span({ class: "muted" }, filter ? `${integer(figures.length)} of ${plural(all.length, "plot")}` : plural(all.length, "plot")),
      ),
    div(
      { class: "view wide" },
      !all.length && div({ class: "blank" }, h2("No plots"), p({ class: "muted" }, "Figures that the run reports (Plotly, matplotlib, confusion matrices, histograms) appear here.")),
      drawn.length > 0 && use(Frame, { figures: drawn, onStep: step }),
      tables.map(({ one, table: content }) => use(PlotTable, { key: one.id, one, content, onStep: step })),
    ),
  );
}

/** @param {any} plot @param {any} range @returns {Promise<Figure>} */
async function figureOf(plot, range) {
  const text = plot.plot_str ?? "";
  return {
    id: JSON.stringify([plot.metric, plot.variant]), metric: plot.metric, variant: plot.variant, iter: plot.iter ?? 0,
    min: range?.min ?? plot.iter ?? 0, max: range?.max ?? plot.iter ?? 0, scroll: range?.scroll ?? "", text: text.length > MOST_TEXT ? '"too large"' : text, images: await imagesOf(text),
  };
}

/** Images that a figure names, fetched here: the frame reaches nothing. @param {string} text @returns {Promise<(Blob | null)[]>} */
async function imagesOf(text) {
  if (!text.includes('"images"')) return [];
  let images;
  try {
    images = JSON.parse(text).layout?.images ?? [];
  } catch {
    return []; // the frame says that the figure can't be read
  }
  if (!Array.isArray(images)) return [];
  return Promise.all(
    images.slice(0, 20).map(async (/** @type {any} */ image) => {
      const address = fileUrl(typeof image?.source === "string" ? image.source : "");
      if (!isOwn(address)) return null;
      const response = await request(address, {}).catch(() => null);
      const blob = response?.ok ? await response.blob() : null;
      return blob && blob.type.startsWith("image/") ? blob : null;
    }),
  );
}

/** @param {{figures: Figure[], onStep: (id: string, to: any) => void}} props */
function Frame({ figures, onStep }) {
  const frame = useRef(/** @type {HTMLIFrameElement | null} */ (null));
  const [ready, setReady] = useState(false);
  const [height, setHeight] = useState(420);
  const [drawn, setDrawn] = useState(0);
  const latest = useRef(onStep);
  latest.current = onStep;
  const shownTheme = useSignal(theme);
  useEffect(() => {
    const hear = (/** @type {MessageEvent} */ event) => {
      if (event.source !== frame.current?.contentWindow) return;
      const { kind, ...rest } = event.data ?? {};
      if (kind === "ready") setReady(true);
      else if (kind === "height" && Number.isFinite(rest.height)) setHeight(Math.min(200_000, Math.max(100, rest.height)));
      else if (kind === "drawn" || kind === "failed") setDrawn((n) => n + 1);
      else if (kind === "step" && typeof rest.id === "string") {
        latest.current(rest.id, { direction: rest.direction === "earlier" ? "earlier" : rest.direction === "later" ? "later" : undefined, iteration: Number.isFinite(rest.iteration) ? rest.iteration : undefined });
      }
    };
    addEventListener("message", hear);
    return () => removeEventListener("message", hear);
  }, []);
  useEffect(() => {
    if (!ready) return;
    const colors = Object.fromEntries(["bg", "fg", "muted", "line", "accent"].map((name) => [name, token(`--${name}`)]));
    frame.current?.contentWindow?.postMessage({ kind: "theme", theme: colors }, "*"); // an opaque origin has no name to send to
  }, [ready, shownTheme]);
  useEffect(() => {
    if (!ready) return;
    const sent = figures.map(({ id, metric, variant, iter, min, max, text, images }) => ({ id, title: variant && variant !== metric ? `${metric} / ${variant}` : metric, iter, min, max, text, images }));
    frame.current?.contentWindow?.postMessage({ kind: "figures", figures: sent }, "*");
  }, [ready, figures]);
  return iframe({
    ref: frame, class: "plot-frame", title: "Figures", sandbox: "allow-scripts allow-downloads", "data-drawn": drawn,
    src: new URL("../plots.html", import.meta.url).href, style: { height: `${height}px` },
  });
}

/** The table of a figure that is nothing but a table. @param {string} text @returns {{head: string[], rows: any[][]} | null} */
export function tableOf(text) {
  if (!text.includes('"table"')) return null;
  try {
    const { data } = JSON.parse(text);
    if (!Array.isArray(data) || data.length !== 1 || data[0].type !== "table") return null;
    const head = (data[0].header?.values ?? []).map((/** @type {any} */ value) => plain(Array.isArray(value) ? value.join(" ") : value));
    const columns = (data[0].cells?.values ?? []).map((/** @type {any} */ column) => (Array.isArray(column) ? column : [column]));
    const count = Math.max(0, ...columns.map((/** @type {any[]} */ column) => column.length));
    return { head, rows: Array.from({ length: count }, (_, row) => columns.map((/** @type {any[]} */ column) => column[row])) };
  } catch {
    return null; // the frame says that the figure can't be read
  }
}

/** Plotly's texts may have tags such as <b>; here they are left out. @param {any} value */
const plain = (value) => String(value ?? "").replace(/<\/?(b|i|br|sub|sup|em|strong|span)\b[^<>]*>/gi, "");

/** @param {{one: Figure, content: any, onStep: (id: string, to: any) => void}} props */
function PlotTable({ one, content, onStep }) {
  const [all, setAll] = useState(false);
  const rows = all ? content.rows : content.rows.slice(0, TABLE_ROWS);
  return section(
    { class: "plot-table" },
    div(
      { class: "section-head" },
      h2(one.variant && one.variant !== one.metric ? `${one.metric} / ${one.variant}` : one.metric),
      span({ class: "muted" }, `step ${integer(one.iter)}`),
      one.max > one.min && button({ type: "button", class: "button", disabled: one.iter <= one.min, onClick: () => onStep(one.id, { direction: "earlier" }), "aria-label": "Earlier step" }, "◀"),
      one.max > one.min && button({ type: "button", class: "button", disabled: one.iter >= one.max, onClick: () => onStep(one.id, { direction: "later" }), "aria-label": "Later step" }, "▶"),
    ),
    div(
      { class: "table-scroll" },
      table(
        { class: "plain" },
        thead(tr(content.head.map((/** @type {string} */ name, /** @type {number} */ at) => th({ key: at }, name)))),
        tbody(rows.map((/** @type {any[]} */ row, /** @type {number} */ at) => tr({ key: at }, row.map((value, column) => td({ key: column, class: typeof value === "number" ? "num" : "wrap-anywhere" }, typeof value === "number" ? number(value, 6) : plain(value)))))),
      ),
    ),
    rows.length < content.rows.length && button({ type: "button", class: "link", onClick: () => setAll(true) }, `Show all ${plural(content.rows.length, "row")}`),
  );
}
