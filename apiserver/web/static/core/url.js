// The URL is the state of the page: every view can be shared as a link.
import { signal } from "../vendor/signals.js";

/**
 * @typedef {{path: string, params: URLSearchParams, href: string}} Place
 */

/** In longer URLs the longest parameters move to the history entry's state: a reload keeps them. A copied link names a view that the server stores. */
export const LONGEST = 6_000;
/** @type {Record<string, string>} */
const READABLE = { "%2C": ",", "%2F": "/", "%3A": ":", "%40": "@", "%24": "$", "%3B": ";", "%3D": "=" };

/** @type {import("../vendor/signals.js").Signal<Place>} */
export const place = signal(read());

/** The URL, with the parameters in the history entry's state. @returns {Place} */
function read() {
  const { pathname, search } = window.location;
  const params = new URLSearchParams(search);
  const kept = Object.entries(/** @type {Record<string, string>} */ (history.state?.kept ?? {}));
  for (const [name, value] of kept) params.set(name, value);
  return { path: pathname, params, href: kept.length ? address(pathname, params) : pathname + search };
}

/** What hears of a view that is left: its parameters with the positions of its reader. @type {Set<(params: URLSearchParams) => void>} */
const leaving = new Set();

/** @param {(params: URLSearchParams) => void} hear @returns {() => void} ends it */
export function onLeave(hear) {
  leaving.add(hear);
  return () => void leaving.delete(hear);
}

addEventListener("popstate", () => {
  leave();
  place.value = read();
});

/** Says where the reader was to those who lead back there; the address of it. */
function leave() {
  const params = exact({ positions: true });
  for (const hear of leaving) hear(params);
  return address(place.value.path, params);
}

/**
 * What a view knows of itself beside the address, because it moves all the time. `position`: where the reader is; Back and the tab of a view that was left
 * lead there again.
 * @typedef {() => Record<string, string | number | null | undefined>} Reading parameters; "" leaves one out
 */
/** @type {Map<Reading, {position: boolean}>} */
const readings = new Map();

/** @param {Reading} reading @param {{position: boolean}} kind @returns {() => void} ends it */
export function addReading(reading, kind) {
  readings.set(reading, kind);
  return () => void readings.delete(reading);
}

/** The parameters of what is shown, with readings; only positions if they are asked for. @param {{positions?: boolean}} [which] */
function exact({ positions = false } = {}) {
  const params = new URLSearchParams(place.value.params);
  for (const [reading, { position }] of readings) if (position || !positions) assign(params, reading());
  return params;
}

/** The link to exactly what is shown. */
export const exactHref = () => address(place.value.path, exact());

/**
 * Navigates within the page. `replace`: without a new history entry.
 * @param {string} href
 * @param {{replace?: boolean}} [options]
 */
export function go(href, { replace = false } = {}) {
  if (href === place.value.href) return;
  if (!replace) {
    const left = leave();
    if (left !== place.value.href) write("replaceState", left);
  }
  write(replace ? "replaceState" : "pushState", href);
  const path = place.value.path;
  place.value = read();
  if (place.value.path !== path) scrollTo(0, 0);
}

/** @param {"replaceState" | "pushState"} how @param {string} href */
function write(how, href) {
  const [short, kept] = shortened(href);
  history[how](kept && { kept }, "", short);
}

/**
 * A URL short enough for servers (8,190 bytes of request line), and the parameters that were left out.
 * @param {string} href
 * @returns {[string, Record<string, string> | null]}
 */
function shortened(href) {
  const [path, query] = split(href);
  const params = new URLSearchParams(query);
  /** @type {Record<string, string>} */
  const kept = {};
  let short = href;
  for (const [name, value] of [...params].sort((one, other) => other[1].length - one[1].length)) {
    if (short.length <= LONGEST) break;
    kept[name] = value;
    params.delete(name);
    short = address(path, params);
  }
  return [short, short === href ? null : kept];
}

/** Path and query of an address. @param {string} href @returns {[string, string]} */
export function split(href) {
  const at = href.indexOf("?");
  return at < 0 ? [href, ""] : [href.slice(0, at), href.slice(at + 1)];
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
  assign(params, changes);
  go(address(place.value.path, params), { replace: !push });
}

/** Changes some parameters; "" and null remove one. @param {URLSearchParams} params @param {Record<string, string | number | null | undefined>} changes */
export function assign(params, changes) {
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") params.delete(name);
    else params.set(name, String(value));
  }
}

/**
 * A readable URL: escapes only characters that would change its meaning.
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

/** @param {string} id */
export const runHref = (id) => `/runs/${encodeURIComponent(id)}`;
