// Images of a run: a slider over the existing steps, thumbnails of every variant, a viewer.
import { useEffect, useMemo, useRef, useState } from "../vendor/hooks.js";
import { integer, plural } from "../core/format.js";
import { preference, setPreference } from "../core/prefs.js";
import { loadStyle } from "../core/style.js";
import { place, setParams } from "../core/url.js";
import { finder } from "../chart/find.js";
import { segments } from "../chart/bar.js";
import { button, div, figcaption, figure, h2, input, label, option, p, select, span, use } from "../chart/elements.js";
import { useCall, useDebounced, useKeys, useSignal } from "../ui/hooks.js";
import { icon } from "../ui/icons.js";
import { Problem } from "../ui/problem.js";
import { CLOSED } from "./image-look.js";
import { ImageSource, nearestStep } from "./image-source.js";
import { Sample } from "./sample.js";
import { Viewer } from "./viewer.js";

await loadStyle("images");

/** @typedef {import("./image-source.js").Picture} Picture */

const NONE = /** @type {Picture[]} */ ([]);
const PLAY_MS = 700;
const SHOWN = 240;
/** Images that are loaded without waiting for the layout to tell whether they are in view. */
const AT_ONCE = 20;
/** @type {Record<string, number>} */
const SIZES = { S: 110, M: 180, L: 320 };

/** @param {{id: string, revision: number}} props */
export default function Images({ id, revision }) {
  const { params } = useSignal(place);
  const size = useSignal(preference("image_size", "M"));
  const [playing, setPlaying] = useState(false);
  const [all, setAll] = useState(false);
  const found = useCall((signal) => new ImageSource(id).open(signal, !params.get("at")), [id, revision]);
  const source = found.data;
  const steps = source?.steps ?? [];
  const wanted = params.get("at");
  // Without `at` the newest step is shown and followed; a chosen step stays.
  const place_ = wanted ? nearestStep(steps, Number(wanted)) : steps.length - 1;
  const step = steps[place_] ?? 0;
  const metric = params.get("metric") ?? "";
  const filter = params.get("m") ?? "";
  const fits = finder(filter);
  // While the slider is dragged, only the step where it rests is loaded.
  const answered = useRef(false);
  const rested = useDebounced(step, answered.current ? 40 : 0);
  const sampled = useCall(() => (source && steps.length ? source.at(rested) : null), [source, rested]);
  if (sampled.data) answered.current = true;
  const pictures = sampled.data ?? NONE;
  const metrics = useMemo(() => [...new Set(pictures.map((picture) => picture.metric))], [pictures]);
  const shown = pictures.filter((picture) => (!metric || picture.metric === metric) && fits(`${picture.metric}/${picture.variant}`));
  const go = (/** @type {number} */ to) => {
    const next = Math.min(steps.length - 1, Math.max(0, to));
    setParams({ at: next === steps.length - 1 ? "" : String(steps[next]) });
  };
  const latest = useRef(() => {});
  latest.current = () => (place_ >= steps.length - 1 ? setPlaying(false) : go(place_ + 1));
  useEffect(() => {
    if (!playing) return undefined;
    const timer = setInterval(() => latest.current(), PLAY_MS);
    return () => clearInterval(timer);
  }, [playing]);
  const opened = shown.find((picture) => picture.key === params.get("img"));
  const open = (/** @type {Picture | undefined} */ picture) => setParams(picture ? { img: picture.key } : CLOSED);
  useKeys("Images", [
    { keys: "ArrowLeft", does: "previous step", run: () => go(place_ - 1) },
    { keys: "ArrowRight", does: "next step", run: () => go(place_ + 1) },
    { keys: "Shift+ArrowLeft", does: "ten steps back", run: () => go(place_ - 10) },
    { keys: "Shift+ArrowRight", does: "ten steps on", run: () => go(place_ + 10) },
    { keys: "Space", does: "play or stop", run: () => setPlaying(!playing) },
    { keys: "f", does: "open the first image", run: () => open(shown[0]) },
    { keys: "/", does: "find image", run: () => /** @type {HTMLElement | null} */ (document.querySelector(".image-find"))?.focus() },
  ]);
  if (found.error && !source) return use(Problem, { error: found.error, again: found.again });
  if (!source) return div({ class: "view-loading", "aria-busy": "true" });
  if (!steps.length) return div({ class: "view" }, div({ class: "blank" }, h2("No images"), p({ class: "muted" }, "Images, audio and video that the run reports appear here.")));
  const visible = all ? shown : shown.slice(0, SHOWN);
  return div(
    { class: "images", style: { "--thumb": `${SIZES[size] ?? SIZES.M}px` } },
    div(
      { class: "view-bar" },
      metrics.length > 1 &&
        select({ "aria-label": "Metric", value: metric, onChange: (/** @type {any} */ event) => setParams({ metric: event.target.value }) }, option({ value: "" }, "All metrics"), metrics.map((name) => option({ key: name, value: name }, name || "(no name)"))),
      input({ type: "search", class: "image-find", placeholder: "Find variant", "aria-label": "Find variant", value: filter, onInput: (/** @type {any} */ event) => setParams({ m: event.target.value }) }),
      div(
        { class: "step-slider" },
        button({ type: "button", class: "button square", "aria-label": "Previous step", title: "Previous step (←)", disabled: place_ <= 0, onClick: () => go(place_ - 1) }, icon("left")),
        label(
          span({ class: "visually-hidden" }, "Step"),
          input({ type: "range", min: 0, max: steps.length - 1, step: 1, value: place_, "aria-valuetext": `step ${integer(step)}`, onInput: (/** @type {any} */ event) => go(Number(event.target.value)) }),
        ),
        button({ type: "button", class: "button square", "aria-label": "Next step", title: "Next step (→)", disabled: place_ >= steps.length - 1, onClick: () => go(place_ + 1) }, icon("right")),
        span({ class: "step-name" }, `step ${integer(step)}`),
        span({ class: "muted" }, `${integer(place_ + 1)} of ${plural(steps.length, "step")}`),
        button({ type: "button", class: "icon-button", "aria-label": playing ? "Stop" : "Play", title: playing ? "Stop (space)" : "Play (space)", onClick: () => setPlaying(!playing) }, icon(playing ? "pause" : "play")),
      ),
      span({ class: "spread" }),
      segments("Size of images", ["S", "M", "L"].map((one) => ({ text: one, title: `${{ S: "Small", M: "Medium", L: "Large" }[one]} images`, on: one === size, run: () => setPreference("image_size", one) }))),
    ),
    div(
      { class: "gallery" },
      visible.map((picture, index) => use(Thumb, { key: picture.key, picture, step, soon: index < AT_ONCE, pixels: SIZES[size] ?? SIZES.M, onOpen: () => open(picture) })),
      sampled.error && use(Problem, { error: sampled.error, again: sampled.again }),
      !shown.length && sampled.data && p({ class: "muted" }, "No image of this step matches."),
    ),
    visible.length < shown.length && p({ class: "gallery-more" }, button({ type: "button", class: "button", onClick: () => setAll(true) }, `Show all ${integer(shown.length)}`)),
    opened && use(Viewer, { picture: opened, steps: source.stepsOf(opened.key), load: (/** @type {number} */ one) => source.one(opened.key, one), variants: shown.filter((picture) => picture.kind === "image"), onGo: (/** @type {number} */ to) => setParams({ at: String(to) }), onVariant: open, onClose: () => open(undefined) }),
  );
}

/** @param {{picture: Picture, step: number, soon: boolean, pixels: number, onOpen: () => void}} props */
function Thumb({ picture, step, soon, pixels, onOpen }) {
  const name = picture.variant || picture.metric;
  return figure(
    { class: "thumb" },
    use(Sample, { picture, name, soon, pixels, onOpen }),
    figcaption({ title: `${picture.metric} / ${picture.variant}` }, span({ class: "truncate" }, picture.metric && picture.metric !== name && span({ class: "muted" }, `${picture.metric} / `), name), picture.iter !== step && span({ class: "muted" }, `step ${integer(picture.iter)}`)),
  );
}
