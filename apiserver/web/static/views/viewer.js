// One image over the whole window: zoom, pan, exact pixels, difference with another step or both side by side.
import { useEffect, useState } from "../vendor/hooks.js";
import { integer } from "../core/format.js";
import { a, option, select, span, use } from "../chart/elements.js";
import { icon } from "../ui/icons.js";
import { useImageLook } from "./image-look.js";
import { fetchAhead } from "./image-stage.js";
import { ViewerFrame, toggle } from "./viewer-frame.js";

/** @typedef {import("./image-source.js").Picture} Picture */

/**
 * @param {{picture: Picture, steps: number[], load: (step: number) => Promise<Picture | null>, variants: Picture[], onGo: (step: number) => void, onVariant: (picture: Picture) => void, onClose: () => void}} props `steps`: of this variant, ascending
 */
export function Viewer({ picture, steps, load, variants, onGo, onVariant, onClose }) {
  const look = useImageLook();
  const { mode } = look;
  const [compared, setCompared] = useState(/** @type {Picture | null} */ (null));
  const at = steps.indexOf(picture.iter);
  const chosen = look.other === "" ? -1 : steps.indexOf(Number(look.other));
  const against = steps[chosen >= 0 ? chosen : at > 0 ? at - 1 : Math.min(1, steps.length - 1)];
  const turn = (/** @type {number} */ by) => {
    const next = variants[variants.findIndex((one) => one.key === picture.key) + by];
    if (next) onVariant(next);
  };
  // The neighbours are fetched beforehand: the next step appears at once.
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
  const turnMode = (/** @type {string} */ one) => look.setMode(mode === one ? "one" : one);
  const name = picture.variant || picture.metric;
  const alt = (/** @type {Picture} */ one) => `${name}, step ${one.iter}`;
  const head = (/** @type {Picture} */ one) => (mode === "beside" ? span(`step ${integer(one.iter)}`) : undefined);
  const panes = [{ key: "this", url: picture.url, alt: alt(picture), head: head(picture), under: mode === "difference" && compared ? { url: compared.url, alt: alt(compared) } : undefined }];
  if (mode === "beside" && compared) panes.push({ key: "other", url: compared.url, alt: alt(compared), head: head(compared), under: undefined });
  return use(ViewerFrame, {
    label: name, title: name, hint: `${picture.metric} / ${picture.variant}`, steps, at, step: picture.iter, panes, look, onGo, onTurn: turn, onClose,
    facts: mode === "difference" && compared && ` · difference with step ${integer(compared.iter)}`,
    keys: [
      { keys: "d", does: "difference with another step", run: () => turnMode("difference") },
      { keys: "b", does: "side by side with another step", run: () => turnMode("beside") },
    ],
    tools: [
      steps.length > 1 && toggle("Difference", "Difference with another step (d)", mode === "difference", () => turnMode("difference")),
      steps.length > 1 && toggle("Side by side", "Side by side (b)", mode === "beside", () => turnMode("beside")),
      mode !== "one" &&
        select({ "aria-label": "Step to compare with", value: against, onChange: (/** @type {any} */ event) => look.setOther(event.target.value) }, steps.map((one) => option({ key: one, value: one, selected: one === against }, `step ${integer(one)}`))),
      a({ class: "icon-button", href: picture.url, download: "", "aria-label": "Download", title: "Download" }, icon("download")),
    ],
  });
}
