// Images of runs: a row per run; a column per step of one variant, or per variant at one step. A click opens the viewer with that image of all runs.
import { useMemo, useRef } from "../vendor/hooks.js";
import { color } from "../core/colors.js";
import { integer, plural } from "../core/format.js";
import { loadStyle } from "../core/style.js";
import { place, setParams } from "../core/url.js";
import { segments } from "../chart/bar.js";
import { div, h2, input, label, option, p, select, span, table, tbody, td, th, thead, tr, use } from "../ui/html.js";
import { useCall, useDebounced, useKeys, useSignal } from "../ui/hooks.js";
import { Problem } from "../ui/problem.js";
import { cell, ComparedImages } from "./compare-image-source.js";
import { CompareViewer } from "./compare-viewer.js";
import { CLOSED } from "./image-look.js";
import { Sample } from "./sample.js";

await loadStyle("images");

/** @typedef {import("./compare.js").Compared} Compared */
/** @typedef {{key: string, title: string, step: number, variant: string}} Column */

/** px of a column, and beside the columns of a wide and of a narrow window. */
const COLUMN = 186;
const WIDE_SIDE = 430;
const NARROW_SIDE = 110;
const MOST_STEPS = 8;
const VARIANTS = 40;
const THUMB = 220;

/** @param {{runs: Compared[], revision: number}} props */
export default function CompareImages({ runs, revision }) {
  const { params } = useSignal(place);
  const ids = runs.map((run) => run.id).join(",");
  const found = useCall((signal) => new ComparedImages(ids.split(",")).open(signal), [ids, revision]);
  const source = found.data;
  const metrics = [...(source?.index.keys() ?? [])];
  const metric = pick(metrics, params.get("metric"));
  const names = [...(source?.index.get(metric)?.keys() ?? [])];
  const variant = pick(names, params.get("variant"));
  const across = params.get("by") === "variants";
  const steps = useMemo(() => source?.stepsOf(metric, across ? names : [variant]) ?? [], [source, metric, variant, across]);
  const at = nearest(steps, params.get("at"));
  const step = steps[at] ?? 0;
  /** @type {Column[]} */
  const columns = across
    ? names.slice(0, VARIANTS).map((name) => ({ key: name, title: name || metric, step, variant: name }))
    : around(steps, at).map((one) => ({ key: String(one), title: `step ${integer(one)}`, step: one, variant }));
  // While the slider is dragged, only the step where it rests is loaded.
  const answered = useRef(false);
  const rested = useDebounced(JSON.stringify([metric, columns]), answered.current ? 40 : 0);
  const images = useCall(() => (source && steps.length ? read(source, .../** @type {[string, Column[]]} */ (JSON.parse(rested))) : null), [source, rested]);
  if (images.data) answered.current = true;
  const visible = runs.filter((run) => !run.hidden);
  const go = (/** @type {number} */ to) => {
    const next = Math.min(steps.length - 1, Math.max(0, to));
    setParams({ at: next === steps.length - 1 ? "" : steps[next] });
  };
  const opened = Boolean(params.get("img")) && visible.length > 0 && steps.length > 0;
  useKeys("Images", [
    { keys: "ArrowLeft", does: "previous step", run: () => go(at - 1) },
    { keys: "ArrowRight", does: "next step", run: () => go(at + 1) },
    { keys: "v", does: "columns: steps or variants", run: () => setParams({ by: across ? "" : "variants" }) },
    { keys: "f", does: "open the images of all runs", run: () => setParams({ img: "1", variant, at: step }) },
  ]);
  if (found.error && !source) return use(Problem, { error: found.error, again: found.again });
  if (!source) return div({ class: "view-loading", "aria-busy": "true" });
  if (!metrics.length) return p({ class: "muted blank narrow-blank" }, "None of these runs reported images.");
  const choose = (/** @type {string} */ name, /** @type {string[]} */ all, /** @type {string} */ now) =>
    label(span({ class: "muted" }, `${name} `), select({ value: now, onChange: (/** @type {any} */ event) => setParams({ [name]: event.target.value }) }, all.map((one) => option({ key: one, value: one, selected: one === now }, one || "(no name)"))));
  const sample = (/** @type {Compared} */ run, /** @type {Column} */ column) => {
    const picture = images.data?.get(`${column.key}\n${cell(run.id, column.variant)}`);
    if (!picture) return images.data ? span({ class: "muted small" }, "none") : null;
    const name = `${run.name}, ${metric}/${column.variant}, step ${picture.iter}`;
    return [
      use(Sample, { key: "image", picture, name, pixels: THUMB, onOpen: () => setParams({ img: "1", variant: column.variant, at: column.step }, { push: true }) }),
      picture.iter !== column.step && span({ key: "step", class: "muted" }, `of step ${integer(picture.iter)}`),
    ];
  };
  return div(
    { class: "view compare-view" },
    div(
      { class: "compare-search image-bar" },
      h2("Images"),
      segments("Columns", [
        { text: "Steps", title: "A column per step (v)", on: !across, run: () => setParams({ by: "" }) },
        { text: "Variants", title: "A column per variant, at one step (v)", on: across, run: () => setParams({ by: "variants" }) },
      ]),
      choose("metric", metrics, metric),
      !across && choose("variant", names, variant),
      steps.length > 1 &&
        label(
          { class: "step-choice" },
          span({ class: "muted" }, "step "),
          input({ type: "range", min: 0, max: steps.length - 1, value: at, "aria-valuetext": `step ${steps[at]}`, onInput: (/** @type {any} */ event) => go(Number(event.target.value)) }),
          span(` ${integer(step)}`),
        ),
      span({ class: "muted" }, `${plural(steps.length, "step")} exist${steps.length === 1 ? "s" : ""}`, across && names.length > VARIANTS && `, ${VARIANTS} of ${plural(names.length, "variant")} shown`),
    ),
    images.error && use(Problem, { error: images.error, again: images.again }),
    div(
      { class: "table-scroll" },
      table(
        { class: "plain compare-table image-table", style: { "--thumb": `${THUMB}px` } },
        thead(tr(th({ scope: "col" }, "Run"), ...columns.map((column) => th({ key: column.key, scope: "col", class: !across && column.step === step ? "at" : "" }, column.title)))),
        tbody(
          visible.map((run) =>
            tr(
              { key: run.id },
              th({ scope: "row" }, span({ class: "dot", style: { background: color(run.pick) } }), " ", run.name),
              ...columns.map((column) => td({ key: column.key }, sample(run, column))),
            ),
          ),
        ),
      ),
    ),
    opened &&
      use(CompareViewer, {
        source, runs: visible, metric, variants: names, variant, step,
        onGo: (/** @type {number} */ to) => setParams({ at: to }), onVariant: (/** @type {string} */ to) => setParams({ variant: to }), onClose: () => setParams(CLOSED),
      }),
  );
}

/** @param {ComparedImages} source @param {string} metric @param {Column[]} columns */
async function read(source, metric, columns) {
  /** @type {Map<string, string[]>} */
  const wanted = new Map();
  for (const { step, variant } of columns) wanted.set(String(step), [...(wanted.get(String(step)) ?? []), variant]);
  const found = new Map();
  await Promise.all(
    [...wanted].map(async ([step, variants]) => {
      const pictures = await source.at(metric, variants, Number(step));
      for (const column of columns) if (String(column.step) === step) for (const [key, picture] of pictures) found.set(`${column.key}\n${key}`, picture);
    }),
  );
  return found;
}

/** @param {string[]} names @param {string | null} wanted */
const pick = (names, wanted) => (wanted !== null && names.includes(wanted) ? wanted : names[0] ?? "");

/** The steps around one that fit beside each other. @param {number[]} steps @param {number} at */
function around(steps, at) {
  const count = Math.max(1, Math.min(MOST_STEPS, Math.floor((innerWidth - (innerWidth > 900 ? WIDE_SIDE : NARROW_SIDE)) / COLUMN)));
  const from = Math.max(0, Math.min(at - Math.floor(count / 2), steps.length - count));
  return steps.slice(from, from + count);
}

/** @param {number[]} steps @param {string | null} wanted */
function nearest(steps, wanted) {
  if (!steps.length) return 0;
  if (wanted === null || !Number.isFinite(Number(wanted))) return steps.length - 1;
  let best = 0;
  steps.forEach((step, index) => {
    if (Math.abs(step - Number(wanted)) < Math.abs((steps[best] ?? 0) - Number(wanted))) best = index;
  });
  return best;
}
