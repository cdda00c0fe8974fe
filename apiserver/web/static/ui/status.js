// The status of a run as icon and word; the colour adds no information.
import { span } from "./html.js";
import { icon } from "./icons.js";

/** @type {Record<string, [string, string, string]>} status -> icon, word, class */
const STATUSES = {
  created: ["file", "created", ""],
  queued: ["pause", "queued", ""],
  in_progress: ["play", "running", "live"],
  stopped: ["stop", "stopped", ""],
  completed: ["check", "completed", "good"],
  closed: ["check", "closed", "good"],
  publishing: ["check", "publishing", ""],
  published: ["check", "published", "good"],
  failed: ["close", "failed", "bad"],
  unknown: ["warning", "unknown", ""],
};

/** Icon, word and class of a status. @param {string} name @returns {[string, string, string]} */
export const statusLook = (name) => STATUSES[name] ?? ["warning", String(name), ""];

/**
 * @param {string} status
 * @param {string} [reason]
 */
export function statusBadge(status, reason = "") {
  const [name, word, kind] = statusLook(status);
  return span({ class: `badge ${kind}`, title: reason || undefined }, icon(name), word);
}

/** @param {string} status */
export const statusWord = (status) => statusLook(status)[1];
