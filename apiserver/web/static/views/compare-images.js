// Images by run and step: a row per run, a column per step that exists; or one step and a column per variant.
import { useState } from "../vendor/hooks.js";
import { call } from "../core/api.js";
import { color } from "../core/colors.js";
import { fileUrl, isOwn, loadPrefixes, thumbUrl } from "../core/files.js";
import { integer } from "../core/format.js";
import { place, setParams } from "../core/url.js";
import { a, div, h2, img, input, label, option, p, select, span, table, tbody, td, th, thead, tr, use } from "../ui/html.js";
import { useCall, useSignal } from "../ui/hooks.js";
import { Problem } from "../ui/problem.js";

/** @typedef {import("./compare.js").Compared} Compared */

const STEPS = 8;
const THUMB = 220;

/** @param {{runs: Compared[], revision: number}} props */
export default function CompareImages({ runs, revision }) {
  const { params } = useSignal(place);
  const ids = runs.map((run) => run.id);
  const [metric, setMetric] = useState("");
  const [variant, setVariant] = useState("");
  const index = useCall(
    async (signal) => {
      await loadPrefixes();
      return imageIndex(await call("events.get_image_index", { tasks: ids }, { signal }));
    },
    [ids.join(","), revision],
  );
  const metrics = [...(index.data?.keys() ?? [])];
  const chosen = metrics.includes(metric) ? metric : metrics[0] ?? "";
  const variants = index.data?.get(chosen) ?? new Map();
  const names = [...variants.keys()];
  const one = names.includes(variant) ? variant : names[0] ?? "";
  const steps = variants.get(one) ?? [];
  const at = nearest(steps, params.get("at"));
  const from = Math.max(0, Math.min(at - Math.floor(STEPS / 2), steps.length - STEPS));
  const shown = steps.slice(from, from + STEPS);
  const images = useCall(
    async (signal) => {
      if (!shown.length) return new Map();
      const found = new Map();
      await Promise.all(
        shown.map(async (/** @type {number} */ step) => {
          const answer = await call("events.get_debug_image_samples", { tasks: ids, metrics: [{ metric: chosen, variants: [one] }], iteration: step }, { signal });
          for (const { task, event } of answer.samples) if (event) found.set(`${task}\n${step}`, event);
        }),
      );
      return found;
    },
    [ids.join(","), chosen, one, shown.join(","), index.data],
  );
  if (index.error && !index.data) return use(Problem, { error: index.error, again: index.again });
  if (!index.data) return div({ class: "view-loading", "aria-busy": "true" });
  if (!metrics.length) return p({ class: "muted blank narrow-blank" }, "None of these runs reported images.");
  return div(
    { class: "view compare-view" },
    div(
      { class: "compare-search" },
      h2("Images"),
      label(span({ class: "muted" }, "metric "), select({ value: chosen, onChange: (/** @type {any} */ event) => setMetric(event.target.value) }, metrics.map((name) => option({ key: name, value: name, selected: name === chosen }, name)))),
      label(span({ class: "muted" }, "variant "), select({ value: one, onChange: (/** @type {any} */ event) => setVariant(event.target.value) }, names.map((name) => option({ key: name, value: name, selected: name === one }, name)))),
      steps.length > 1 &&
        label(
          span({ class: "muted" }, "step "),
          input({ type: "range", min: 0, max: steps.length - 1, value: at, "aria-valuetext": `step ${steps[at]}`, onInput: (/** @type {any} */ event) => setParams({ at: steps[Number(event.target.value)] }) }),
          span(` ${integer(steps[at])}`),
        ),
      span({ class: "muted" }, `${integer(steps.length)} steps exist`),
    ),
    images.error && use(Problem, { error: images.error, again: images.again }),
    div(
      { class: "table-scroll" },
      table(
        { class: "plain compare-table image-table" },
        thead(tr(th({ scope: "col" }, "Run"), ...shown.map((/** @type {number} */ step) => th({ key: step, scope: "col" }, `step ${integer(step)}`)))),
        tbody(
          runs
            .filter((run) => !run.hidden)
            .map((run) =>
              tr(
                { key: run.id },
                th({ scope: "row" }, span({ class: "dot", style: { background: color(run.pick) } }), " ", run.name),
                ...shown.map((/** @type {number} */ step) => {
                  const event = images.data?.get(`${run.id}\n${step}`);
                  const url = event ? fileUrl(event.url) : "";
                  return td({ key: step }, isOwn(url) ? a({ href: url, target: "_blank", rel: "noopener" }, img({ src: thumbUrl(url, THUMB), loading: "lazy", alt: `${run.name}, ${chosen}/${one}, step ${event.iter}` }), event.iter !== step && span({ class: "muted" }, `of step ${integer(event.iter)}`)) : url ? a({ href: url, target: "_blank", rel: "noreferrer noopener" }, "on its own server") : event ? span({ class: "muted", title: event.url }, "not here") : null);
                }),
              ),
            ),
        ),
      ),
    ),
  );
}

/**
 * metric -> variant -> steps of any run, ascending.
 * @param {any} answer of events.get_image_index
 * @returns {Map<string, Map<string, number[]>>}
 */
function imageIndex(answer) {
  /** @type {Map<string, Map<string, Set<number>>>} */
  const found = new Map();
  for (const one of answer.variants) {
    const variants = found.get(one.metric) ?? new Map();
    found.set(one.metric, variants);
    const steps = variants.get(one.variant) ?? new Set();
    variants.set(one.variant, steps);
    for (const step of stepsOf(one)) steps.add(step);
  }
  return new Map([...found].map(([metric, variants]) => [metric, new Map([...variants].map(([variant, steps]) => [variant, [...steps].sort((x, y) => x - y)]))]));
}

/** Run-length form: [first, last, step]; step 0 is a single iteration. @param {{runs: number[][]}} one */
function* stepsOf(one) {
  for (const [first = 0, last = 0, step = 0] of one.runs) {
    for (let at = first; at <= last; at += step || 1) yield at;
  }
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
