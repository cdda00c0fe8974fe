// What every image viewer is: a dialog over the whole window with steps, zoom, brightness and a way out, by buttons and by keys.
import { useRef } from "../vendor/hooks.js";
import { integer } from "../core/format.js";
import { button, div, h2, input, label, span, use } from "../chart/elements.js";
import { useKeys, useModal } from "../ui/hooks.js";
import { icon } from "../ui/icons.js";
import { ImageStage } from "./image-stage.js";

/**
 * @typedef {object} FrameProps
 * @property {string} label      of the dialog
 * @property {string} title      of what is shown
 * @property {string} [hint]     its whole name
 * @property {number[]} steps    that exist, ascending
 * @property {number} at         index of the one that is shown
 * @property {number} step       that is shown
 * @property {import("./image-stage.js").Pane[]} panes
 * @property {import("./image-stage.js").Look} look
 * @property {any} [facts]       said below the images
 * @property {any} [tools]       further buttons
 * @property {import("../core/keys.js").Key[]} keys further keys
 * @property {any} [problem]     said above the images
 * @property {(step: number) => void} onGo
 * @property {(by: number) => void} onTurn   to another variant
 * @property {() => void} onClose
 */

/** @param {FrameProps} props */
export function ViewerFrame({ label: name, title, hint = name, steps, at, step, panes, look, facts, tools, keys, problem, onGo, onTurn, onClose }) {
  const root = useRef(/** @type {HTMLElement | null} */ (null));
  const zoomed = useRef(/** @type {((factor: number) => void) | null} */ (null));
  useModal(root);
  const go = (/** @type {number} */ by) => {
    const next = steps[Math.min(steps.length - 1, Math.max(0, at + by))];
    if (next !== undefined && next !== steps[at]) onGo(next);
  };
  const one = () => look.setView({ x: 0, y: 0, scale: 1 });
  useKeys("Image viewer", [
    { keys: "ArrowLeft", does: "previous step", run: () => go(-1) },
    { keys: "ArrowRight", does: "next step", run: () => go(1) },
    { keys: "Shift+ArrowLeft", does: "ten steps back", run: () => go(-10) },
    { keys: "Shift+ArrowRight", does: "ten steps on", run: () => go(10) },
    { keys: "ArrowUp", does: "previous variant", run: () => onTurn(-1) },
    { keys: "ArrowDown", does: "next variant", run: () => onTurn(1) },
    { keys: "+", does: "zoom in", run: () => zoomed.current?.(1.25) },
    { keys: "-", does: "zoom out", run: () => zoomed.current?.(0.8) },
    { keys: "f", does: "fit", run: () => look.setView(null) },
    { keys: "=", does: "actual size", run: one },
    { keys: "n", does: "sharp pixels", run: () => look.setSharp(!look.sharp) },
    ...keys,
    { keys: "Escape", does: "close", run: onClose },
  ]);
  return div(
    { class: "viewer", role: "dialog", "aria-modal": "true", "aria-label": name, tabIndex: -1, ref: root },
    div(
      { class: "viewer-bar" },
      h2({ class: "truncate", title: hint }, title),
      button({ type: "button", class: "button square", "aria-label": "Previous step", disabled: at <= 0, onClick: () => go(-1) }, icon("left")),
      span({ class: "step-name" }, `step ${integer(step)}`),
      button({ type: "button", class: "button square", "aria-label": "Next step", disabled: at >= steps.length - 1, onClick: () => go(1) }, icon("right")),
      span({ class: "spread" }),
      button({ type: "button", class: "button square", "aria-label": "Zoom in", title: "Zoom in (+)", onClick: () => zoomed.current?.(1.25) }, "+"),
      button({ type: "button", class: "button square", "aria-label": "Zoom out", title: "Zoom out (-)", onClick: () => zoomed.current?.(0.8) }, "−"),
      toggle("Fit", "Fit to the window (f)", look.view === null, () => look.setView(null)),
      toggle("1:1", "Actual size (=)", look.view?.scale === 1, one),
      toggle("Pixels", "Sharp pixels (n)", look.sharp, () => look.setSharp(!look.sharp)),
      label({ class: "smoothing" }, span("Brightness"), input({ type: "range", min: 0.2, max: 8, step: 0.1, value: look.light, onInput: (/** @type {any} */ event) => look.setLight(Number(event.target.value)) })),
      tools,
      button({ type: "button", class: "icon-button viewer-close", "aria-label": "Close", title: "Close (esc)", onClick: onClose }, icon("close")),
    ),
    problem,
    use(ImageStage, { panes, look, zoomed, facts }),
  );
}

/** A button that is on or off. @param {string} text @param {string} title @param {boolean} on @param {() => void} onClick */
export const toggle = (text, title, on, onClick) => button({ type: "button", class: "button", "aria-pressed": on ? "true" : "false", title, onClick }, text);
