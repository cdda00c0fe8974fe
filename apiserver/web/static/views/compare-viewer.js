// Full-window viewer for an image of several runs: zoomed and panned together, or as differences from a reference run.
import { useEffect } from "../vendor/hooks.js";
import { color } from "../core/colors.js";
import { integer, plural } from "../core/format.js";
import { isOwn } from "../core/files.js";
import { option, select, span, use } from "../chart/elements.js";
import { useCall } from "../ui/hooks.js";
import { Problem } from "../ui/problem.js";
import { cell } from "./compare-image-source.js";
import { useImageLook } from "./image-look.js";
import { nearestStep } from "./image-source.js";
import { fetchAhead } from "./image-stage.js";
import { ViewerFrame, toggle } from "./viewer-frame.js";

/** @typedef {import("./compare.js").Compared} Compared */

/** Most runs shown at once: with more, the images are too small. */
const MOST = 16;

/**
 * @param {{source: import("./compare-image-source.js").ComparedImages, runs: Compared[], metric: string, variants: string[], variant: string, step: number,
 *   onGo: (step: number) => void, onVariant: (variant: string) => void, onClose: () => void}} props
 */
export function CompareViewer({ source, runs, metric, variants, variant, step, onGo, onVariant, onClose }) {
  const look = useImageLook();
  const steps = source.stepsOf(metric, [variant]);
  const at = nearestStep(steps, step);
  const found = useCall(() => source.at(metric, [variant], steps[at] ?? step), [source, metric, variant, steps[at]]);
  const shown = runs.slice(0, MOST);
  const base = shown.find((run) => run.id === look.other) ?? shown[0];
  const differs = look.mode === "difference" && shown.length > 1;
  const turn = (/** @type {number} */ by) => {
    const next = variants[variants.indexOf(variant) + by];
    if (next !== undefined) onVariant(next);
  };
  // Prefetches the neighbouring steps.
  useEffect(() => {
    if (!found.data) return;
    for (const near of [steps[at + 1], steps[at - 1]]) {
      if (near !== undefined) source.at(metric, [variant], near).then((pictures) => Promise.all([...pictures.values()].map(({ url }) => fetchAhead(url)))).catch(() => undefined); // loaded when it is shown
    }
  }, [found.data]);
  const turnMode = () => look.setMode(differs ? "one" : "difference");
  const pictureOf = (/** @type {Compared} */ run) => found.data?.get(cell(run.id, variant));
  const under = pictureOf(base);
  const panes = shown.flatMap((run) => {
    const picture = pictureOf(run);
    if (!picture && !found.data) return [];
    const head = [span({ class: "dot", style: { background: color(run.pick) } }), span({ class: "truncate", title: run.name }, run.name), picture && picture.iter !== steps[at] && span({ class: "muted" }, `step ${integer(picture.iter)}`), differs && run === base && span({ class: "chip" }, "itself")];
    const missing = !picture ? `no image up to step ${integer(steps[at] ?? step)}` : !isOwn(picture.url) ? "the file is not on this server" : picture.kind !== "image" ? "the file is not an image" : undefined;
    const alt = `${run.name}, ${metric}/${variant}, step ${picture?.iter}`;
    return [{ key: run.id, url: missing ? "" : (picture?.url ?? ""), alt, head, missing, under: differs && run !== base && under && !missing ? { url: under.url, alt: `${base.name}, step ${under.iter}` } : undefined }];
  });
  const name = `${metric} / ${variant} of ${plural(runs.length, "run")}`;
  return use(ViewerFrame, {
    label: name, title: variant || metric, steps, at, step: steps[at] ?? step, panes, look, onGo, onTurn: turn, onClose,
    problem: found.error && use(Problem, { error: found.error, again: found.again }),
    facts: runs.length > MOST ? ` · the first ${MOST} of ${plural(runs.length, "run")}; hide some to see others` : null,
    keys: [
      { keys: "d", does: "differences from a reference run", run: turnMode },
      { keys: "r", does: "next reference run", run: () => look.setOther(shown[(shown.indexOf(base) + 1) % shown.length]?.id ?? "") },
    ],
    tools: [
      shown.length > 1 && toggle("Difference", "Differences from a reference run (d)", differs, turnMode),
      differs && select({ "aria-label": "Reference run", value: base?.id, onChange: (/** @type {any} */ event) => look.setOther(event.target.value) }, shown.map((run) => option({ key: run.id, value: run.id, selected: run === base }, run.name))),
    ],
  });
}
