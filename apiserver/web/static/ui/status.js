// The status of a run as icon and word; colour only repeats what the word says.
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
  published: ["check", "published", "good"],
  failed: ["close", "failed", "bad"],
};

/**
 * @param {string} status
 * @param {string} [reason]
 */
export function statusBadge(status, reason = "") {
  const [name, word, kind] = STATUSES[status] ?? ["warning", status, ""];
  return span({ class: `badge ${kind}`, title: reason || undefined }, icon(name), word);
}

/** @param {string} status */
export const statusWord = (status) => STATUSES[status]?.[1] ?? status;
