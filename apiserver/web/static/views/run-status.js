// The status of a run as icon and word; colour only repeats what the word says.
import { ago, ms, stampWithZone } from "../core/format.js";
import { span } from "../ui/html.js";
import { icon } from "../ui/icons.js";

/** @type {Record<string, [string, string, string]>} status -> icon, word, class */
const STATUSES = {
  created: ["file", "created", ""],
  queued: ["pause", "queued", ""],
  in_progress: ["play", "running", "good"],
  stopped: ["stop", "stopped", ""],
  completed: ["check", "completed", "good"],
  closed: ["check", "closed", ""],
  published: ["check", "published", "good"],
  publishing: ["check", "publishing", ""],
  failed: ["close", "failed", "bad"],
  unknown: ["warning", "unknown", ""],
};

const SILENT_MS = 120_000;

/** The word for a status. @param {string} name */
export const statusWord = (name) => STATUSES[name]?.[1] ?? String(name);

/** @param {any} run */
export function status(run) {
  const [name, word, kind] = STATUSES[run.status] ?? ["warning", String(run.status), ""];
  const last = ms(run.last_update);
  const said = run.status !== "in_progress" || Number.isNaN(last) ? "" : Date.now() - last > SILENT_MS ? `, silent for ${ago(last).replace(" ago", "")}` : `, last said ${ago(last)}`;
  const since = ms(run.status_changed);
  const reason = run.status_message || run.status_reason;
  return span(
    { class: `status ${kind}`, title: [Number.isNaN(since) ? "" : `since ${stampWithZone(since)}`, reason].filter(Boolean).join("\n") },
    icon(name),
    word,
    said,
  );
}
