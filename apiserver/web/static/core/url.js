// The address is the state of the page: what is shown can be sent as a link.
import { signal } from "../vendor/signals.js";

/**
 * @typedef {{path: string, params: URLSearchParams, href: string}} Place
 */

/** @type {import("../vendor/signals.js").Signal<Place>} */
export const place = signal(read());

/** @returns {Place} */
function read() {
  const { pathname, search } = window.location;
  return { path: pathname, params: new URLSearchParams(search), href: pathname + search };
}

addEventListener("popstate", () => {
  place.value = read();
});

/**
 * Opens an address of the page. `replace` for what is not worth a step back.
 * @param {string} href
 * @param {{replace?: boolean}} [options]
 */
export function go(href, { replace = false } = {}) {
  if (href === place.value.href) return;
  history[replace ? "replaceState" : "pushState"](null, "", href);
  const path = place.value.path;
  place.value = read();
  if (place.value.path !== path) scrollTo(0, 0);
}

/**
 * A parameter of the address; "" when it is missing.
 * @param {string} name
 */
export function param(name) {
  return place.value.params.get(name) ?? "";
}

/**
 * Changes some parameters and keeps the others; "" and null remove one. Replaces the entry of the history unless `push`.
 * @param {Record<string, string | number | null | undefined>} changes
 * @param {{push?: boolean}} [options]
 */
export function setParams(changes, { push = false } = {}) {
  const params = new URLSearchParams(place.value.params);
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") params.delete(name);
    else params.set(name, String(value));
  }
  go(address(place.value.path, params), { replace: !push });
}

/**
 * An address that people can read: only what would be misread is escaped.
 * @param {string} path
 * @param {URLSearchParams | Record<string, string>} params
 */
export function address(path, params) {
  const entries = params instanceof URLSearchParams ? [...params] : Object.entries(params);
  const query = entries.filter(([, value]) => value !== "").map(([name, value]) => `${escape(name)}=${escape(value)}`);
  return query.length ? `${path}?${query.join("&")}` : path;
}

/** @param {string} text */
function escape(text) {
  return encodeURIComponent(text).replace(/%(20|2C|2F|3A|3C|3D|3E|40|24|7C|5E|7B|7D|5B|5D|3B)/g, (code) => (code === "%20" ? "+" : READABLE[code] ?? code));
}

/** @type {Record<string, string>} */
const READABLE = { "%2C": ",", "%2F": "/", "%3A": ":", "%40": "@", "%24": "$", "%3B": ";", "%3D": "=" };

/** @param {string} id */
export const runHref = (id) => `/runs/${encodeURIComponent(id)}`;
