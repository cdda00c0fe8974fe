// Full-window viewer for an image: zoom, pan, exact pixels, difference from another step, or both side by side.
import { useEffect, useRef, useState } from "../vendor/hooks.js";
import { integer } from "../core/format.js";
import { a, button, div, h2, option, select, span, use } from "../chart/elements.js";
import { useKeys } from "../ui/hooks.js";
import { icon } from "../ui/icons.js";
import { useImageLook } from "./image-look.js";
import { ImageStage, fetchAhead, stageControls, useFocusInside } from "./image-stage.js";

/** @typedef {import("./image-source.js").Picture} Picture */

/**
 * @param {{picture: Picture, steps: number[], load: (step: number) => Promise<Picture | null>, variants: Picture[], onGo: (step: number) => void, onVariant: (picture: Picture) => void, onClose: () => void}} props `steps`: of this variant, ascending
 */
export function Viewer({ picture, steps, load, variants, onGo, onVariant, onClose }) {
  const look = useImageLook();
  const { mode } = look;
  const root = useRef(/** @type {HTMLElement | null} */ (null));
  const zoomed = useRef(/** @type {((factor: number) => void) | null} */ (null));
  const [compared, setCompared] = useState(/** @type {Picture | null} */ (null));
  const at = steps.indexOf(picture.iter);
  const chosen = look.other === "" ? -1 : steps.indexOf(Number(look.other));
  const against = steps[chosen >= 0 ? chosen : at > 0 ? at - 1 : Math.min(1, steps.length - 1)];
  const go = (/** @type {number} */ by) => {
    const next = steps[Math.min(steps.length - 1, Math.max(0, at + by))];
    if (next !== undefined && next !== picture.iter) onGo(next);
  };
  const turn = (/** @type {number} */ by) => {
    const next = variants[variants.findIndex((one) => one.key === picture.key) + by];
    if (next) onVariant(next);
  };
  useFocusInside(root);
  // Prefetches the neighbouring steps.
  useEffect(() => {
    for (const near of [steps[at + 1], steps[at - 1]]) {
      if (near === undefined) continue;
      load(near).then((found) => found && fetchAhead(found.url)).catch(() => undefined); // loaded when it is opened
    }
  }, [picture.url]);
  useEffect(() => {
    let gone = false;
    setCompared(null);
    if (mode !== "one" && against !== undefined) load(against).then((found) => gone || setCompared(found), () => gone || setCompared(null));
    return () => {
      gone = true;
    };
  }, [mode, against, picture.key]);
  const controls = stageControls(look, zoomed);
  const turnMode = (/** @type {string} */ name) => look.setMode(mode === name ? "one" : name);
  useKeys("Image viewer", [
    { keys: "ArrowLeft", does: "previous step of this variant", run: () => go(-1) },
    { keys: "ArrowRight", does: "next step of this variant", run: () => go(1) },
    { keys: "Shift+ArrowLeft", does: "ten steps back", run: () => go(-10) },
    { keys: "Shift+ArrowRight", does: "ten steps on", run: () => go(10) },
    { keys: "ArrowUp", does: "previous variant", run: () => turn(-1) },
    { keys: "ArrowDown", does: "next variant", run: () => turn(1) },
    ...controls.keys,
    { keys: "d", does: "difference with another step", run: () => turnMode("difference") },
    { keys: "b", does: "side by side with another step", run: () => turnMode("beside") },
    { keys: "Escape", does: "close", run: onClose },
  ]);
  const name = picture.variant || picture.metric;
  const alt = (/** @type {Picture} */ one) => `${name}, step ${one.iter}`;
  const pressed = (/** @type {boolean} */ on) => (on ? "true" : "false");
  const head = (/** @type {Picture} */ one) => (mode === "beside" ? span(`step ${integer(one.iter)}`) : undefined);
  const panes = [{ key: "this", url: picture.url, alt: alt(picture), head: head(picture), under: mode === "difference" && compared ? { url: compared.url, alt: alt(compared) } : undefined }];
  if (mode === "beside" && compared) panes.push({ key: "other", url: compared.url, alt: alt(compared), head: head(compared), under: undefined });
  return div(
    { class: "viewer", role: "dialog", "aria-modal": "true", "aria-label": name, tabIndex: -1, ref: root },
    div(
      { class: "viewer-bar" },
      h2({ class: "truncate", title: `${picture.metric} / ${picture.variant}` }, name),
      button({ type: "button", class: "button square", "aria-label": "Previous step", disabled: at <= 0, onClick: () => go(-1) }, icon("left")),
      span({ class: "step-name" }, `step ${integer(picture.iter)}`),
      button({ type: "button", class: "button square", "aria-label": "Next step", disabled: at >= steps.length - 1, onClick: () => go(1) }, icon("right")),
      span({ class: "spread" }),
      controls.buttons,
      steps.length > 1 && button({ type: "button", class: "button", "aria-pressed": pressed(mode === "difference"), title: "Difference with another step (d)", onClick: () => turnMode("difference") }, "Difference"),
      steps.length > 1 && button({ type: "button", class: "button", "aria-pressed": pressed(mode === "beside"), title: "Side by side (b)", onClick: () => turnMode("beside") }, "Side by side"),
      mode !== "one" &&
        select({ "aria-label": "Step to compare with", value: against, onChange: (/** @type {any} */ event) => look.setOther(event.target.value) }, steps.map((one) => option({ key: one, value: one, selected: one === against }, `step ${integer(one)}`))),
      a({ class: "icon-button", href: picture.url, download: "", "aria-label": "Download", title: "Download" }, icon("download")),
      button({ type: "button", class: "icon-button viewer-close", "aria-label": "Close", title: "Close (esc)", onClick: onClose }, icon("close")),
    ),
    use(ImageStage, { panes, look, zoomed, facts: mode === "difference" && compared && ` · difference with step ${integer(compared.iter)}` }),
  );
}
