// Actions on the selected runs.
import { useMemo, useState } from "../vendor/hooks.js";
import { integer } from "../core/format.js";
import { hiddenRuns } from "../core/picks.js";
import { address, go } from "../core/url.js";
import { button, div, kbd, span, use } from "../ui/html.js";
import { useCall, useKeys } from "../ui/hooks.js";
import { icon } from "../ui/icons.js";
import { sentence } from "../ui/problem.js";
import { toast } from "../ui/toast.js";
import { RunDialogs, allArchived, runningOf } from "./run-dialogs.js";

/** @typedef {import("./run-dialogs.js").Action} Action */

const MOST_COMPARED = 100;

/**
 * @param {{selected: Set<string>, rows: import("./runs-data.js").Rows, onAll: () => Promise<void>, onClear: () => void, onDone: () => void, onExport: () => void}} props
 */
export function Bulk({ selected, rows, onAll, onClear, onDone, onExport }) {
  const [open, setOpen] = useState(/** @type {Action} */ (""));
  const ids = [...selected];
  const some = ids.length > 0;
  const { runs, ready, error, again } = useSelected(rows, ids);
  const gone = ready ? ids.length - runs.length : 0;
  const compare = () => {
    if (ids.length < 2) toast("Select two runs or more to compare them");
    else if (ids.length > MOST_COMPARED) toast(`At most ${MOST_COMPARED} runs can be compared; ${ids.length} are selected`, { bad: true });
    else go(address("/compare", { runs: ids.join(","), hide: ids.filter((id) => hiddenRuns.value.has(id)).join(",") }));
  };
  useKeys("Selected runs", [
    { keys: "c", does: "compare", run: compare, when: () => some },
    { keys: "t", does: "tag", run: () => setOpen("tag"), when: () => some },
    { keys: "a", does: "archive (asks)", run: () => setOpen("archive"), when: () => some },
    { keys: "Delete", does: "delete (asks)", run: () => setOpen("delete"), when: () => some },
    { keys: "Escape", does: "select nothing", run: onClear, when: () => some },
  ]);
  if (!some) return null;
  return div(
    { class: "bulk", role: "region", "aria-label": "Selected runs" },
    span({ class: "bulk-count" }, `${integer(ids.length)} selected`, gone > 0 && `, ${gone} of them deleted`),
    use(AllOf, { rows, selected, onAll }),
    error && span({ role: "alert" }, sentence(error), " ", button({ type: "button", class: "link", onClick: again }, "Try again")),
    button({ type: "button", class: "button primary", disabled: ids.length < 2, onClick: compare }, "Compare", kbd("c")),
    button({ type: "button", class: "button", onClick: () => setOpen("tag") }, icon("tag"), "Tag", kbd("t")),
    button({ type: "button", class: "button", onClick: () => setOpen("archive") }, icon("archive"), allArchived(runs) ? "Unarchive" : "Archive"),
    runningOf(runs).length > 0 && button({ type: "button", class: "button", onClick: () => setOpen("stop") }, icon("stop"), "Stop"),
    button({ type: "button", class: "button", onClick: onExport }, icon("download"), "CSV"),
    button({ type: "button", class: "button danger", onClick: () => setOpen("delete") }, icon("trash"), "Delete…"),
    button({ type: "button", class: "icon-button", "aria-label": "Clear the selection", onClick: onClear }, icon("close")),
    span({ class: "bulk-hint muted" }, "space selects · j k moves · enter opens"),
    ready &&
      use(RunDialogs, {
        open,
        runs,
        onOpen: setOpen,
        onDone: (/** @type {Action} */ action) => {
          if (action === "delete") onClear();
          onDone();
        },
      }),
  );
}

/**
 * Once all loaded runs are selected, offers to select every run that matches the filter.
 * @param {{rows: import("./runs-data.js").Rows, selected: Set<string>, onAll: () => Promise<void>}} props
 */
function AllOf({ rows, selected, onAll }) {
  const [busy, setBusy] = useState(false);
  const { total } = rows;
  if (total === null || total <= rows.runs.size || selected.size >= total) return null;
  for (const run of rows.runs.values()) if (!selected.has(run.id)) return null;
  const choose = () => {
    setBusy(true);
    void onAll().then(() => setBusy(false));
  };
  return button({ type: "button", class: "link", disabled: busy, onClick: choose }, busy ? "selecting …" : `Select all ${integer(total)} that match`);
}

/**
 * The selected runs. Reads those that are not among the loaded rows (after a change of the filter, or from a link).
 * @param {import("./runs-data.js").Rows} rows @param {string[]} ids
 */
function useSelected(rows, ids) {
  // Known runs are kept, so that a dialog stays open when the list below is reloaded. null: deleted.
  const known = useMemo(() => new Map(), [rows]);
  const wanted = new Set(ids);
  if (ids.length) for (const run of rows.runs.values()) if (wanted.has(run.id)) known.set(run.id, run);
  const missing = ids.filter((id) => !known.has(id));
  const { error, again } = useCall(() => {
    if (!missing.length) return null;
    return rows.read(missing).then((runs) => {
      for (const id of missing) known.set(id, null);
      for (const run of runs) known.set(run.id, run);
    });
  }, [rows, missing.join()]);
  return { runs: ids.flatMap((id) => known.get(id) ?? []), ready: !missing.length, error: missing.length ? error : null, again };
}
