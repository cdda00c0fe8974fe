// One image over the whole window: zoom, pan, exact pixels, difference with another step or both side by side.
import { useEffect, useLayoutEffect, useRef, useState } from "../vendor/hooks.js";
import { integer } from "../core/format.js";
import { isOwn, reasonAgainst } from "../core/files.js";
import { a, button, div, h2, img, input, label, option, select, span } from "../chart/elements.js";
import { useKeys } from "../ui/hooks.js";
import { icon } from "../ui/icons.js";

/** @typedef {import("./image-source.js").Picture} Picture */
/** @typedef {{scale: number, x: number, y: number} | null} View null: as large as fits */

/**
 * @param {{picture: Picture, steps: number[], load: (step: number) => Promise<Picture | null>, variants: Picture[], run: any, onGo: (step: number) => void, onVariant: (picture: Picture) => void, onClose: () => void}} props `steps`: of this variant, ascending
 */
export function Viewer({ picture, steps, load, variants, onGo, onVariant, onClose }) {
  const [view, setView] = useState(/** @type {View} */ (null));
  const [nearest, setNearest] = useState(false);
  const [brightness, setBrightness] = useState(1);
  const [mode, setMode] = useState("one");
  const [other, setOther] = useState(-1);
  const [natural, setNatural] = useState({ width: 0, height: 0 });
  const [pixel, setPixel] = useState("");
  const stage = useRef(/** @type {HTMLElement | null} */ (null));
  const root = useRef(/** @type {HTMLElement | null} */ (null));
  const image = useRef(/** @type {HTMLImageElement | null} */ (null));
  const drag = useRef(/** @type {{x: number, y: number} | null} */ (null));
  const [compared, setCompared] = useState(/** @type {Picture | null} */ (null));
  const [checked, setChecked] = useState({ url: "", reason: "" });
  const at = steps.indexOf(picture.iter);
  const against = steps[other >= 0 ? other : at > 0 ? at - 1 : Math.min(1, steps.length - 1)];
  const go = (/** @type {number} */ by) => {
    const next = steps[at + by];
    if (next !== undefined) onGo(next);
  };
  const turn = (/** @type {number} */ by) => {
    const now = variants.findIndex((one) => one.key === picture.key);
    const next = variants[now + by];
    if (next) onVariant(next);
  };
  useEffect(() => {
    const back = /** @type {HTMLElement | null} */ (document.activeElement);
    root.current?.focus();
    return () => back?.focus?.();
  }, []);
  // An image of a billion pixels would take the browser down: the server says beforehand what is too much.
  useEffect(() => {
    let gone = false;
    reasonAgainst(picture.url).then(
      (reason) => gone || setChecked({ url: picture.url, reason }),
      (error) => gone || setChecked({ url: picture.url, reason: String(error.message ?? error) }),
    );
    return () => {
      gone = true;
    };
  }, [picture.url]);
  // The neighbours are fetched beforehand: the next step appears at once.
  useEffect(() => {
    for (const near of [steps[at + 1], steps[at - 1]]) {
      if (near === undefined) continue;
      loadShowable(load, near).then(
        (found) => {
          if (found && isOwn(found.url)) new Image().src = found.url;
        },
        () => undefined, // loaded when it is opened
      );
    }
  }, [picture.url]);
  useEffect(() => {
    let gone = false;
    setCompared(null);
    if (mode !== "one" && against !== undefined) loadShowable(load, against).then((found) => gone || setCompared(found), () => gone || setCompared(null));
    return () => {
      gone = true;
    };
  }, [mode, against, picture.key]);

  const fitted = () => {
    const room = stage.current;
    if (!room || !natural.width) return 1;
    const width = mode === "beside" ? room.clientWidth / 2 - 6 : room.clientWidth;
    return Math.min(width / natural.width, room.clientHeight / natural.height, 8);
  };
  const scale = view?.scale ?? fitted();
  const zoom = (/** @type {number} */ factor) => setView({ x: view?.x ?? 0, y: view?.y ?? 0, scale: Math.min(64, Math.max(0.02, scale * factor)) });
  useLayoutEffect(() => {
    const element = stage.current;
    if (!element) return undefined;
    const wheel = (/** @type {WheelEvent} */ event) => {
      event.preventDefault();
      zoom(event.deltaY > 0 ? 0.85 : 1 / 0.85);
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  });
  useKeys("Image viewer", [
    { keys: "ArrowLeft", does: "previous step of this variant", run: () => go(-1) },
    { keys: "ArrowRight", does: "next step of this variant", run: () => go(1) },
    { keys: "ArrowUp", does: "previous variant", run: () => turn(-1) },
    { keys: "ArrowDown", does: "next variant", run: () => turn(1) },
    { keys: "+", does: "zoom in", run: () => zoom(1.25) },
    { keys: "-", does: "zoom out", run: () => zoom(0.8) },
    { keys: "f", does: "fit", run: () => setView(null) },
    { keys: "=", does: "one to one", run: () => setView({ x: 0, y: 0, scale: 1 }) },
    { keys: "n", does: "sharp pixels", run: () => setNearest(!nearest) },
    { keys: "d", does: "difference with another step", run: () => setMode(mode === "difference" ? "one" : "difference") },
    { keys: "b", does: "side by side with another step", run: () => setMode(mode === "beside" ? "one" : "beside") },
    { keys: "Escape", does: "close", run: onClose },
  ]);
  const read = (/** @type {PointerEvent} */ event) => {
    const element = image.current;
    if (!element || !natural.width) return;
    const box = element.getBoundingClientRect();
    const x = Math.floor(((event.clientX - box.left) / box.width) * natural.width);
    const y = Math.floor(((event.clientY - box.top) / box.height) * natural.height);
    if (x < 0 || y < 0 || x >= natural.width || y >= natural.height) return setPixel("");
    const canvas = document.createElement("canvas");
    canvas.width = canvas.height = 1;
    const ctx = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d", { willReadFrequently: true }));
    ctx.drawImage(element, -x, -y);
    const [r, g, b, alpha] = ctx.getImageData(0, 0, 1, 1).data;
    return setPixel(`pixel (${x}, ${y}) = ${r}, ${g}, ${b}${alpha < 255 ? `, ${alpha}` : ""}`);
  };
  const style = {
    width: natural.width ? `${natural.width * scale}px` : "auto",
    transform: `translate(${view?.x ?? 0}px, ${view?.y ?? 0}px)`,
    filter: brightness === 1 ? "none" : `brightness(${brightness})`,
    imageRendering: nearest ? "pixelated" : "auto",
  };
  const name = picture.variant || picture.metric;
  /** Why it is not shown; null: not known yet. */
  const reason = checked.url === picture.url ? checked.reason : null;
  const pressed = (/** @type {boolean} */ on) => (on ? "true" : "false");
  return div(
    { class: "viewer", role: "dialog", "aria-modal": "true", "aria-label": name, tabIndex: -1, ref: root },
    div(
      { class: "viewer-bar" },
      h2({ class: "truncate", title: `${picture.metric} / ${picture.variant}` }, name),
      button({ type: "button", class: "button square", "aria-label": "Previous step", disabled: at <= 0, onClick: () => go(-1) }, icon("left")),
      span({ class: "step-name" }, `step ${integer(picture.iter)}`),
      button({ type: "button", class: "button square", "aria-label": "Next step", disabled: at >= steps.length - 1, onClick: () => go(1) }, icon("right")),
      span({ class: "spread" }),
      button({ type: "button", class: "button", "aria-pressed": pressed(view === null), onClick: () => setView(null) }, "Fit"),
      button({ type: "button", class: "button", "aria-pressed": pressed(view?.scale === 1), onClick: () => setView({ x: 0, y: 0, scale: 1 }) }, "1:1"),
      button({ type: "button", class: "button", "aria-pressed": pressed(nearest), title: "Sharp pixels (n)", onClick: () => setNearest(!nearest) }, "Pixels"),
      label({ class: "smoothing" }, span("Brightness"), input({ type: "range", min: 0.2, max: 4, step: 0.1, value: brightness, onInput: (/** @type {any} */ event) => setBrightness(Number(event.target.value)) })),
      steps.length > 1 && button({ type: "button", class: "button", "aria-pressed": pressed(mode === "difference"), title: "Difference with another step (d)", onClick: () => setMode(mode === "difference" ? "one" : "difference") }, "Difference"),
      steps.length > 1 && button({ type: "button", class: "button", "aria-pressed": pressed(mode === "beside"), title: "Side by side (b)", onClick: () => setMode(mode === "beside" ? "one" : "beside") }, "Side by side"),
      mode !== "one" &&
        select({ "aria-label": "Step to compare with", value: steps.indexOf(against), onChange: (/** @type {any} */ event) => setOther(Number(event.target.value)) }, steps.map((one, index) => option({ key: one, value: index }, `step ${integer(one)}`))),
      a({ class: "icon-button", href: picture.url, download: "", "aria-label": "Download", title: "Download" }, icon("download")),
      button({ type: "button", class: "icon-button", "aria-label": "Close", title: "Close (esc)", onClick: onClose }, icon("close")),
    ),
    div(
      {
        class: `viewer-stage ${mode}`, ref: stage,
        onPointerDown: (/** @type {PointerEvent} */ event) => {
          drag.current = { x: event.clientX - (view?.x ?? 0), y: event.clientY - (view?.y ?? 0) };
          /** @type {HTMLElement} */ (event.currentTarget).setPointerCapture(event.pointerId);
        },
        onPointerMove: (/** @type {PointerEvent} */ event) => {
          if (drag.current) setView({ scale, x: event.clientX - drag.current.x, y: event.clientY - drag.current.y });
          else read(event);
        },
        onPointerUp: () => (drag.current = null),
      },
      reason && div({ class: "viewer-pane viewer-reason", role: "alert" }, icon("warning"), span(reason), a({ href: picture.url, download: "" }, "download the file")),
      reason === "" &&
        div(
          { class: "viewer-pane" },
          img({ ref: image, src: picture.url, alt: `${name}, step ${picture.iter}`, style, draggable: false, onLoad: (/** @type {any} */ event) => setNatural({ width: event.target.naturalWidth, height: event.target.naturalHeight }) }),
          mode === "difference" && compared && img({ class: "over", src: compared.url, alt: `difference with step ${compared.iter}`, style, draggable: false }),
        ),
      mode === "beside" && compared && div({ class: "viewer-pane" }, img({ src: compared.url, alt: `${name}, step ${compared.iter}`, style, draggable: false })),
    ),
    div(
      { class: "viewer-foot" },
      reason ? "" : natural.width ? `${integer(natural.width)} × ${integer(natural.height)} · ${Math.round(scale * 100)} %` : "loading …",
      pixel && ` · ${pixel}`,
      mode !== "one" && compared && ` · ${mode === "difference" ? "difference with" : "right:"} step ${integer(compared.iter)}`,
    ),
  );
}

/** A picture that a browser can show. @param {(step: number) => Promise<Picture | null>} load @param {number} step */
async function loadShowable(load, step) {
  const found = await load(step);
  return found && !(await reasonAgainst(found.url)) ? found : null;
}
