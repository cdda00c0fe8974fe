// The area of a viewer with one or several images, zoomed and panned together, and the value of the pixel under the pointer.
import { useEffect, useLayoutEffect, useReducer, useRef, useState } from "../vendor/hooks.js";
import { isOwn, reasonAgainst } from "../core/files.js";
import { integer, number } from "../core/format.js";
import { distance, pixelOf } from "../core/pixels.js";
import { a, div, figcaption, figure, img, span, use } from "../chart/elements.js";
import { icon } from "../ui/icons.js";

/** @typedef {import("./image-look.js").View} View */
/**
 * `under`: the reference image of a difference; `head`: the caption above, for several images.
 * @typedef {{key: string, url: string, alt: string, head?: any, under?: {url: string, alt: string}, missing?: string}} Pane
 */
/** @typedef {ReturnType<typeof import("./image-look.js").useImageLook>} Look */

const GAP = 8;
const HEAD = 24;
const UNKNOWN = { width: 0, height: 0 };

/**
 * @param {{panes: Pane[], look: Look, facts?: any, zoomed: {current: ((factor: number) => void) | null}}} props `zoomed` gets the function that zooms
 */
export function ImageStage({ panes, look, facts, zoomed }) {
  const { view } = look;
  const stage = useRef(/** @type {HTMLElement | null} */ (null));
  const drag = useRef(/** @type {{x: number, y: number} | null} */ (null));
  const [sizes, setSizes] = useState(/** @type {Record<string, {width: number, height: number}>} */ ({}));
  const natural = panes.map((pane) => sizes[pane.key]).find(Boolean) ?? UNKNOWN; // that of the first loaded image
  const [pointer, setPointer] = useState(/** @type {{x: number, y: number} | null} */ (null));
  const [, resized] = useReducer((n) => n + 1, 0);
  useLayoutEffect(() => {
    const observer = new ResizeObserver(() => resized(0));
    observer.observe(/** @type {HTMLElement} */ (stage.current));
    return () => observer.disconnect();
  }, []);
  const room = stage.current ?? { clientWidth: 0, clientHeight: 0 };
  const { columns, fit } = arranged(panes.length, room.clientWidth, room.clientHeight, natural, panes.some((pane) => pane.head));
  const scale = view?.scale ?? fit;
  const [x, y] = [view?.x ?? 0, view?.y ?? 0];
  zoomed.current = (factor) => look.setView({ x, y, scale: Math.min(64, Math.max(0.02, scale * factor)) });
  useLayoutEffect(() => {
    const element = /** @type {HTMLElement} */ (stage.current);
    const wheel = (/** @type {WheelEvent} */ event) => {
      event.preventDefault();
      look.move({ x, y, scale: scale * (event.deltaY > 0 ? 0.85 : 1 / 0.85) });
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  });
  /** @param {PointerEvent} event @returns {{x: number, y: number} | null} the pixel of the first image's grid under the pointer */
  const under = (event) => {
    const image = /** @type {HTMLElement} */ (event.target).closest?.(".viewer-pane")?.querySelector("img");
    if (!image || !natural.width) return null;
    const box = image.getBoundingClientRect();
    const at = { x: Math.floor(((event.clientX - box.left) / box.width) * natural.width), y: Math.floor(((event.clientY - box.top) / box.height) * natural.height) };
    return at.x >= 0 && at.y >= 0 && at.x < natural.width && at.y < natural.height ? at : null;
  };
  const style = {
    width: natural.width ? `${natural.width * scale}px` : "auto",
    transform: `translate(${x * scale}px, ${y * scale}px)`,
    imageRendering: look.sharp ? "pixelated" : "auto",
  };
  return [
    div(
      {
        key: "stage", class: "viewer-stage", ref: stage, style: { gridTemplateColumns: `repeat(${columns}, minmax(0, 1fr))` },
        onPointerDown: (/** @type {PointerEvent} */ event) => {
          if (/** @type {HTMLElement} */ (event.target).closest("a, button")) return;
          drag.current = { x: event.clientX - x * scale, y: event.clientY - y * scale };
          /** @type {HTMLElement} */ (event.currentTarget).setPointerCapture(event.pointerId);
        },
        onPointerMove: (/** @type {PointerEvent} */ event) => {
          if (drag.current) look.move({ scale, x: (event.clientX - drag.current.x) / scale, y: (event.clientY - drag.current.y) / scale });
          else setPointer(under(event));
        },
        onPointerUp: () => (drag.current = null),
        onPointerCancel: () => (drag.current = null),
        onPointerLeave: () => setPointer(null),
      },
      panes.map((pane) => use(ImagePane, { key: pane.key, pane, style, light: look.light, natural, pointer, onSize: (/** @type {{width: number, height: number}} */ size) => setSizes((old) => ({ ...old, [pane.key]: size })) })),
    ),
    div(
      { key: "foot", class: "viewer-foot" },
      natural.width ? `${integer(natural.width)} × ${integer(natural.height)} · ${Math.round(scale * 100)} %` : panes.length ? "loading …" : "",
      pointer && ` · pixel (${pointer.x}, ${pointer.y})`,
      facts,
    ),
  ];
}

/**
 * The number of columns that makes the images largest.
 * @param {number} count @param {number} width @param {number} height @param {{width: number, height: number}} natural @param {boolean} headed
 */
export function arranged(count, width, height, natural, headed) {
  let best = { columns: 1, fit: 0 };
  for (let columns = 1; columns <= Math.max(1, count); columns++) {
    const rows = Math.ceil(count / columns);
    const room = { width: (width - GAP * (columns - 1)) / columns, height: (height - GAP * (rows - 1)) / rows - (headed ? HEAD : 0) };
    const fit = natural.width ? Math.min(room.width / natural.width, room.height / natural.height, 8) : 1 / (Math.abs(room.width / room.height - 1.3) + 1);
    if (fit > best.fit) best = { columns, fit };
  }
  return { columns: best.columns, fit: natural.width ? Math.max(0.02, best.fit) : 1 };
}

/**
 * @param {{pane: Pane, style: Record<string, any>, light: number, natural: {width: number, height: number}, pointer: {x: number, y: number} | null,
 *   onSize: (size: {width: number, height: number}) => void}} props
 */
function ImagePane({ pane, style, light, natural, pointer, onSize }) {
  const { url, under } = pane;
  const image = useRef(/** @type {HTMLImageElement | null} */ (null));
  const base = useRef(/** @type {HTMLImageElement | null} */ (null));
  const [reason, setReason] = useState(/** @type {{url: string, text: string} | null} */ (null));
  const [loaded, setLoaded] = useState({ image: "", base: "" });
  const [apart, setApart] = useState(/** @type {ReturnType<typeof distance>} */ (null));
  // A billion pixels would crash the tab: ask the server for the size first.
  useEffect(() => {
    let gone = false;
    const check = async () => {
      for (const one of [url, under?.url]) {
        const text = one ? await reasonAgainst(one) : "";
        if (text) return text;
      }
      return "";
    };
    if (url) check().then((text) => gone || setReason({ url, text }), (error) => gone || setReason({ url, text: String(error.message ?? error) }));
    return () => {
      gone = true;
    };
  }, [url, under?.url]);
  useEffect(() => {
    const both = under && loaded.image === url && loaded.base === under.url && image.current && base.current;
    setApart(both && image.current && base.current ? distance(image.current, base.current) : null);
  }, [url, under?.url, loaded]);
  const text = pane.missing ?? (reason?.url === url ? reason.text : null);
  const sized = (/** @type {any} */ event) => {
    setLoaded((old) => ({ ...old, image: url }));
    onSize?.({ width: event.target.naturalWidth, height: event.target.naturalHeight });
  };
  const said = [];
  if (pointer && image.current?.naturalWidth) said.push(valueAt(image.current, under ? base.current : null, pointer, natural));
  if (apart) said.push(apart.most ? `${number(100 * apart.share, 3)} % of the pixels differ, by ${number(apart.mean, 3)} of 255 on average, by ${apart.most} at most` : "equal");
  else if (under && loaded.base === under.url && loaded.image === url && base.current && image.current && base.current.naturalWidth !== image.current.naturalWidth) said.push("of different sizes");
  return figure(
    { class: "viewer-pane" },
    pane.head && figcaption(pane.head),
    text
      ? div({ class: "viewer-reason", role: pane.missing ? undefined : "alert" }, icon("warning"), span(text), url && a({ href: url, download: "" }, "download the file"))
      : text === "" &&
          div(
            { class: `viewer-images${under ? " difference" : ""}`, style: { filter: light === 1 ? "none" : `brightness(${light})` } },
            under && img({ ref: base, src: under.url, alt: under.alt, style, draggable: false, onLoad: () => setLoaded((old) => ({ ...old, base: under.url })) }),
            img({ ref: image, src: url, alt: under ? `difference with ${under.alt}` : pane.alt, style, draggable: false, onLoad: sized, onError: () => setReason({ url, text: "the file can't be shown" }) }),
          ),
    said.length > 0 && div({ class: "viewer-value" }, said.filter(Boolean).join(" · ")),
  );
}

/** The colour of a pixel, or the difference of both images there. @param {HTMLImageElement} image @param {HTMLImageElement | null} base @param {{x: number, y: number}} at @param {{width: number, height: number}} natural */
function valueAt(image, base, at, natural) {
  const of = (/** @type {HTMLImageElement} */ one) => pixelOf(one, Math.floor((at.x * one.naturalWidth) / natural.width), Math.floor((at.y * one.naturalHeight) / natural.height));
  const here = of(image);
  if (!here) return "";
  const [r, g, b, alpha] = here;
  if (!base?.naturalWidth) return `${r}, ${g}, ${b}${alpha < 255 ? `, ${alpha}` : ""}`;
  const there = of(base);
  return there ? `differs by ${[r, g, b].map((value, channel) => Math.abs(value - there[channel])).join(", ")}` : "";
}

/** Fetches an image that is about to be shown, if a browser can show it. @param {string} url */
export async function fetchAhead(url) {
  if (isOwn(url) && !(await reasonAgainst(url))) new Image().src = url;
}
