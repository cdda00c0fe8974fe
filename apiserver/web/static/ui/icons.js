// Icons: 16 × 16 outlines in the text's colour. Decorative: the caller adds a label.
import { h } from "../vendor/preact.js";

/** @type {Record<string, string>} */
const PATHS = {
  archive: "M2 3h12v3H2zM3 6v7h10V6M6 9h4",
  chart: "M2 2v12h12M4.5 10l3-4 2.5 2.5L14 4",
  check: "M3 8.5 6.5 12 13 4.5",
  close: "M4 4l8 8M12 4l-8 8",
  columns: "M2 3h12v10H2zM6.5 3v10M10.5 3v10",
  copy: "M5 5V2h9v9h-3M2 5h9v9H2z",
  dots: "M3 8h.01M8 8h.01M13 8h.01",
  down: "M4 6l4 4 4-4",
  download: "M8 2v8M4.5 7 8 10.5 11.5 7M2.5 13.5h11",
  expand: "M9.5 2H14v4.5M6.5 14H2V9.5M14 2 9 7M2 14l5-5",
  eye: "M1 8s2.5-4.5 7-4.5S15 8 15 8s-2.5 4.5-7 4.5S1 8 1 8zM8 10a2 2 0 1 0 0-4 2 2 0 0 0 0 4z",
  eyeoff: "M2 2l12 12M6 4c.6-.3 1.3-.5 2-.5 4.5 0 7 4.5 7 4.500s-.8 1.4-2.2 2.600M4 5C2.1 6.2 1 8 1 8s2.5 4.5 7 4.500c1 0 1.9-.2 2.7-.5",
  file: "M4 1.500h5.500L13 5v9.500H4zM9.5 1.500V5H13",
  filter: "M2 3h12L9.5 8.500V13l-3-1.500v-3z",
  folder: "M1.5 3.500h5l1.5 2h6.500v8h-13z",
  group: "M2 3h5v4H2zM9 3h5v4H9zM2 9h5v4H2zM9 9h5v4H9z",
  image: "M2 3h12v10H2zM2 11l3.5-3.500L9 11l2-2 3 3M10.5 6.500h.01",
  left: "M10 4 6 8l4 4",
  link: "M7 9a3 3 0 0 0 4.2.300l2-2a3 3 0 0 0-4.2-4.200l-1 1M9 7a3 3 0 0 0-4.2-.3l-2 2a3 3 0 0 0 4.2 4.200l1-1",
  moon: "M13.5 9.500A6 6 0 0 1 6.5 2.5 6 6 0 1 0 13.5 9.500z",
  pause: "M5 3v10M11 3v10",
  pin: "M8 10v4.500M4.5 10h7L10 7V2.500H6V7z",
  play: "M4.5 2.500v11l8.5-5.500z",
  plus: "M8 3v10M3 8h10",
  right: "M6 4l4 4-4 4",
  search: "M7 12A5 5 0 1 0 7 2a5 5 0 0 0 0 10zM10.5 10.5 14 14",
  sort: "M5 3v10M2.5 10.5 5 13l2.5-2.500M11 13V3M8.5 5.5 11 3l2.5 2.5",
  star: "M8 1.500l2 4.3 4.5.6-3.3 3.2.8 4.600L8 12l-4 2.2.8-4.600L1.5 6.4 6 5.800z",
  stop: "M3.5 3.500h9v9h-9z",
  sun: "M8 11a3 3 0 1 0 0-6 3 3 0 0 0 0 6zM8 1v1.500M8 13.500V15M1 8h1.500M13.5 8H15M3 3l1 1M12 12l1 1M3 13l1-1M12 4l1-1",
  tag: "M2 2h5.500L14 8.5 8.5 14 2 7.500zM5 5h.01",
  trash: "M2.5 4h11M6 4V2.500h4V4M4 4l.7 9.500h6.600L12 4",
  up: "M4 10l4-4 4 4",
  warning: "M8 2 15 14H1zM8 6.500v3.500M8 12h.01",
};

/**
 * @param {string} name
 * @param {{class?: string}} [props]
 */
export function icon(name, props = {}) {
  return h(
    "svg",
    { viewBox: "0 0 16 16", width: 16, height: 16, "aria-hidden": "true", class: `icon ${props.class ?? ""}` },
    h("path", { d: PATHS[name] ?? "", fill: "none", stroke: "currentColor", "stroke-width": 1.4, "stroke-linecap": "round", "stroke-linejoin": "round" }),
  );
}
