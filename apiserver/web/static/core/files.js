// URLs from which this page can load stored files.
import { call, request } from "./api.js";

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;
/** @type {string[]} addresses of the server's own files, as training code knows them */
let prefixes = [];
/** @type {Promise<void> | null} */
let asked = null;

/** Reads from the server under which URLs training code stores files. */
export function loadPrefixes() {
  asked ??= call("server.page").then(
    (page) => {
      prefixes = page.file_prefixes ?? page.files ?? [];
    },
    () => {
      asked = null; // the next view repeats the call
    },
  );
  return asked;
}

/**
 * The URL of a stored file for this page, or "" when browsers can't load it (s3://, a path on the training machine). Files of this server become relative:
 * training code may use another host name, and a cross-site request is refused.
 * @param {string | null | undefined} url
 */
export function fileUrl(url) {
  if (!url) return "";
  for (const prefix of prefixes) if (url.startsWith(prefix)) return `/files/${url.slice(prefix.length).replace(/^\//, "")}`;
  let parsed;
  try {
    parsed = new URL(url, window.location.href);
  } catch {
    return "";
  }
  if (parsed.protocol === "data:" && /^data:(image|audio|video)\//.test(url)) return url;
  if (parsed.protocol !== "http:" && parsed.protocol !== "https:") return "";
  if (parsed.origin === window.location.origin || (LOOPBACK.test(parsed.hostname) && parsed.pathname.startsWith("/files/"))) return parsed.pathname + parsed.search;
  return parsed.href;
}

/** Whether this page may load it: its own server's files. @param {string} address of `fileUrl` */
export const isOwn = (address) => address.startsWith("/");

/**
 * The URL of a thumbnail, at least `pixels` wide or high unless the image is smaller. Images of other servers have none.
 * @param {string} address of `fileUrl` @param {number} pixels
 */
export function thumbUrl(address, pixels) {
  if (!address.startsWith("/files/")) return address;
  return `${address}${address.includes("?") ? "&" : "?"}thumb=${Math.ceil(pixels * Math.min(2, devicePixelRatio))}`;
}

/** Cached answers of `reasonAgainst`. @type {Map<string, Promise<string>>} */
const reasons = new Map();
const KEPT_REASONS = 500;

/**
 * Why an image must not be shown, or "": a billion pixels would crash the tab. Images of other servers are not checked.
 * @param {string} address of `fileUrl`
 * @returns {Promise<string>}
 */
export function reasonAgainst(address) {
  if (!address.startsWith("/files/")) return Promise.resolve("");
  let found = reasons.get(address);
  if (!found) {
    found = ask(thumbUrl(address, 256));
    reasons.set(address, found);
    found.catch(() => reasons.delete(address)); // asked again
    if (reasons.size > KEPT_REASONS) reasons.delete(/** @type {string} */ (reasons.keys().next().value));
  }
  return found;
}

/** @param {string} address of `thumbUrl` */
async function ask(address) {
  if ((await request(address, { method: "HEAD" })).ok) return "";
  const response = await request(address, {});
  if (response.ok) return "";
  const { detail } = await response.json().catch(() => ({}));
  return String(detail ?? `the server answered ${response.status}`);
}
