// Where a stored file can be fetched from by this page.
import { call, request } from "./api.js";

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;
/** @type {string[]} addresses of the server's own files, as training code knows them */
let prefixes = [];
/** @type {Promise<void> | null} */
let asked = null;

/** Reads from the server under which addresses training code knows its files. */
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
 * The address of a stored file for this page, "" when no browser can fetch it (s3://, a path of the training machine). Files of this server become relative:
 * training code may know it under another name, and a cross-site request is refused.
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
 * The address of a small copy of an image, at least `pixels` wide or high where the image is. Images of other servers have none.
 * @param {string} address of `fileUrl` @param {number} pixels
 */
export function thumbUrl(address, pixels) {
  if (!address.startsWith("/files/")) return address;
  return `${address}${address.includes("?") ? "&" : "?"}thumb=${Math.ceil(pixels * Math.min(2, devicePixelRatio))}`;
}

/** Answers of `reasonAgainst` that are known. @type {Map<string, Promise<string>>} */
const reasons = new Map();
const KEPT_REASONS = 500;

/**
 * Why an image can't be shown, "" if it can: one of a billion pixels would take the browser down. Of other servers' images nothing is known.
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
