// The storage used by a run's events, and deletion of old log lines.
import { useState } from "../vendor/hooks.js";
import { call } from "../core/api.js";
import { ago, bytes, integer, plural, stampWithZone } from "../core/format.js";
import { button, div, form, h2, input, label, p, section, span, table, tbody, td, th, thead, tr, use } from "../chart/elements.js";
import { Dialog } from "../ui/dialog.js";
import { useCall } from "../ui/hooks.js";
import { Problem } from "../ui/problem.js";
import { toast } from "../ui/toast.js";
import { TYPES } from "./overview.js";

const DAY_S = 86_400;

/** @param {{id: string, revision: number}} props */
export default function Storage({ id, revision }) {
  const found = useCall((signal) => call("events.get_task_storage", { task: id }, { signal }), [id, revision]);
  const [days, setDays] = useState("7");
  const [asking, setAsking] = useState(false);
  if (found.error && !found.data) return use(Problem, { error: found.error, again: found.again });
  if (!found.data) return div({ class: "view-loading", "aria-busy": "true" });
  const { types, count, bytes: total } = found.data;
  const log = types.find((/** @type {any} */ one) => one.type === "log");
  const remove = async () => {
    setAsking(false);
    try {
      const { deleted } = await call("events.clear_task_log", { task: id, threshold_sec: Math.max(1, Math.round(Number(days) * DAY_S)) });
      toast(`${plural(deleted, "log line")} deleted.`);
      found.again();
    } catch (error) {
      toast(`Nothing was deleted: ${/** @type {Error} */ (error).message}`, { bad: true });
    }
  };
  return div(
    { class: "view" },
    section(
      h2("Events", span({ class: "muted" }, `${plural(count, "event")}, ${bytes(total)} as received`)),
      types.length
        ? div(
            { class: "table-scroll" },
            table(
              { class: "plain" },
              thead(tr(th("Type"), th({ class: "num" }, "Events"), th({ class: "num" }, "Size"), th({ class: "share spare" }, "Share"), th({ class: "no-wrap" }, "Oldest"), th("Newest"))),
              tbody(
                types.map((/** @type {any} */ one) =>
                  tr(
                    { key: one.type },
                    td(TYPES[one.type] ?? one.type), td({ class: "num" }, integer(one.count)), td({ class: "num" }, bytes(one.bytes)),
                    td({ class: "share spare" }, span({ class: "bar-cell", style: { width: `${(100 * one.bytes) / Math.max(1, total)}%` } })),
                    td({ class: "no-wrap", title: stampWithZone(one.oldest) }, ago(one.oldest)), td({ class: "no-wrap", title: stampWithZone(one.newest) }, ago(one.newest)),
                  ),
                ),
              ),
            ),
          )
        : p({ class: "muted" }, "This run has no events."),
    ),
    log &&
      section(
        h2("Log"),
        form(
          { class: "storage-form", onSubmit: (/** @type {Event} */ event) => (event.preventDefault(), setAsking(true)) },
          label(span("Delete lines older than "), input({ type: "number", min: 0, step: "any", value: days, required: true, onInput: (/** @type {any} */ event) => setDays(event.target.value) }), span(" days")),
          button({ class: "button danger" }, "Delete…"),
        ),
      ),
    asking &&
      use(
        Dialog,
        { title: "Delete log lines?", onClose: () => setAsking(false) },
        p(`Lines older than ${plural(Number(days), "day")} are deleted for good. The log has ${plural(log?.count ?? 0, "line")}, ${bytes(log?.bytes)}.`),
        div({ class: "dialog-actions" }, button({ type: "button", class: "button", onClick: () => setAsking(false) }, "Cancel"), button({ type: "button", class: "button danger primary", onClick: remove }, "Delete")),
      ),
  );
}
