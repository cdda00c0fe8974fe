// The status in a run's head: icon, word, and time of the last report.
import { ago, ms, stampWithZone } from "../core/format.js";
import { span } from "../ui/html.js";
import { icon } from "../ui/icons.js";
import { statusLook } from "../ui/status.js";

const SILENT_MS = 120_000;

/** @param {any} run */
export function status(run) {
  const [name, word, kind] = statusLook(run.status);
  const last = ms(run.last_update);
  const said = run.status !== "in_progress" || Number.isNaN(last) ? "" : Date.now() - last > SILENT_MS ? `, silent for ${ago(last).replace(" ago", "")}` : `, last report ${ago(last)}`;
  const since = ms(run.status_changed);
  const reason = run.status_message || run.status_reason;
  return span(
    { class: `status ${kind}`, title: [Number.isNaN(since) ? "" : `since ${stampWithZone(since)}`, reason].filter(Boolean).join("\n") },
    icon(name),
    word,
    said,
  );
}
