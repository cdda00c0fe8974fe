// The link to exactly what is shown: the URL, and state that changes too often to be in the address bar (cursors, lines, scrolling).
import { address, place } from "./url.js";

/** @typedef {() => Record<string, string | number | null | undefined>} Moving parameters for a link; "" leaves one out */

/** @type {Set<Moving>} */
const moving = new Set();

/** Registers a view's moving state for copied links; returns the function that removes it. @param {Moving} read */
export function addMoving(read) {
  moving.add(read);
  return () => void moving.delete(read);
}

/** @returns {string} */
export function exactLink() {
  const params = new URLSearchParams(place.value.params);
  for (const read of moving) {
    for (const [name, value] of Object.entries(read())) {
      if (value === null || value === undefined || value === "") params.delete(name);
      else params.set(name, String(value));
    }
  }
  return window.location.origin + address(place.value.path, params);
}
