// Plots of runs: drawn in a sandboxed frame; tables become tables of this page.
import { useEffect, useRef, useState } from "../vendor/hooks.js";
import { request } from "../core/api.js";
import { fileUrl, isOwn } from "../core/files.js";
import { bytes, integer, number, plural } from "../core/format.js";
import { theme, token } from "../core/theme.js";
import { button, div, h2, iframe, section, span, table, tbody, td, th, thead, tr } from "../chart/elements.js";
import { useSignal } from "../ui/hooks.js";

/** @typedef {{id: string, title: string, metric: string, variant: string, iter: number, min: number, max: number, text: string, problem: string, images: (Blob | null)[]}} Figure `problem`: why it is not drawn */

/** Most characters of a figure that is drawn: browsers need about a second for it. */
const MOST_TEXT = 10_000_000;
const TABLE_ROWS = 500;

/** @param {any} plot an event @param {{min?: number, max?: number}} [range] its first and last step @returns {Promise<Figure>} */
export async function figureOf(plot, range) {
  const whole = String(plot.plot_str ?? "");
  const problem = whole.length > MOST_TEXT ? `it has ${bytes(whole.length)}; figures of up to ${bytes(MOST_TEXT)} are drawn. The API returns it completely.` : "";
  const text = problem ? "" : whole;
  return {
    id: JSON.stringify([plot.task, plot.metric, plot.variant]), title: plot.variant && plot.variant !== plot.metric ? `${plot.metric} / ${plot.variant}` : plot.metric,
    metric: plot.metric, variant: plot.variant, iter: plot.iter ?? 0, min: range?.min ?? plot.iter ?? 0, max: range?.max ?? plot.iter ?? 0, text, problem, images: await imagesOf(text),
  };
}

/** The images in a figure, loaded here because the frame has no network access. @param {string} text @returns {Promise<(Blob | null)[]>} */
async function imagesOf(text) {
  if (!text.includes('"images"')) return [];
  let images;
  try {
    images = JSON.parse(text).layout?.images ?? [];
  } catch {
    return []; // the frame shows the error
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
export function Frame({ figures, onStep }) {
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
    frame.current?.contentWindow?.postMessage({ kind: "theme", theme: colors }, "*"); // "*", because an opaque origin has no name
  }, [ready, shownTheme]);
  useEffect(() => {
    if (!ready) return;
    const sent = figures.map(({ id, title, iter, min, max, text, problem, images }) => ({ id, title, iter, min, max, text, problem, images }));
    frame.current?.contentWindow?.postMessage({ kind: "figures", figures: sent }, "*");
  }, [ready, figures]);
  return iframe({
    ref: frame, class: "plot-frame", title: "Figures", sandbox: "allow-scripts allow-downloads", "data-drawn": drawn,
    src: new URL("../plots.html", import.meta.url).href, style: { height: `${height}px` },
  });
}

/** The table of a figure that consists of a table only, else null. @param {string} text @returns {{head: string[], rows: any[][]} | null} */
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

/** Plotly's texts may have tags such as <b>, which are removed here. @param {any} value */
const plain = (value) => String(value ?? "").replace(/<\/?(b|i|br|sub|sup|em|strong|span)\b[^<>]*>/gi, "");

/** @param {{one: Figure, content: any, onStep: (id: string, to: any) => void}} props */
export function PlotTable({ one, content, onStep }) {
  const [all, setAll] = useState(false);
  const rows = all ? content.rows : content.rows.slice(0, TABLE_ROWS);
  return section(
    { class: "plot-table" },
    div(
      { class: "section-head" },
      h2(one.title),
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
