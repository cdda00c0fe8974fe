// Dialogs for actions on runs (tag, archive, stop, delete), for the table's selection and for a single run.
import { useEffect, useState } from "../vendor/hooks.js";
import { call } from "../core/api.js";
import { bytes, plural } from "../core/format.js";
import { forget, tags as knownTags } from "../core/vocabulary.js";
import { button, div, form, input, label, li, option, p, span, tag, ul, use } from "../ui/html.js";
import { Dialog } from "../ui/dialog.js";
import { icon } from "../ui/icons.js";
import { sentence } from "../ui/problem.js";
import { toast } from "../ui/toast.js";

/** @typedef {import("../query/columns.js").Run} Run */
/** @typedef {"" | "tag" | "archive" | "stop" | "delete"} Action */

const datalist = tag("datalist");
/** Runs per call: with ten thousand, the server answers other calls in between. */
const AT_ONCE = 500;
/** Most runs whose events are counted before a deletion. */
const MEASURED = 200;

/** @param {Run[]} runs */
export const allArchived = (runs) => runs.length > 0 && runs.every((run) => run.system_tags?.includes("archived"));
/** @param {Run[]} runs */
export const runningOf = (runs) => runs.filter((run) => run.status === "in_progress");

/**
 * The dialog of an action.
 * @param {{open: Action, runs: Run[], onOpen: (action: Action) => void, onDone: (action: Action) => void}} props
 */
export function RunDialogs({ open, runs, onOpen, onDone }) {
  const archived = allArchived(runs);
  const ids = (open === "stop" ? runningOf(runs) : runs).map((run) => run.id);
  const onClose = () => onOpen("");
  const done = () => {
    onClose();
    forget();
    onDone(open);
  };
  if (open === "tag") return use(TagDialog, { runs, onClose, onDone: done });
  if (open === "delete") return use(DeleteDialog, { runs, onClose, onArchive: () => onOpen("archive"), onDone: done });
  if (open === "archive") {
    return use(Confirm, {
      title: archived ? "Unarchive" : "Archive",
      text: archived ? `${plural(ids.length, "run")} will appear in the table again.` : `${plural(ids.length, "run")} will leave the table; "is:archived" shows them. Nothing is deleted.`,
      work: () => many(archived ? "tasks.unarchive_many" : "tasks.archive_many", { ids }),
      onClose,
      onDone: done,
    });
  }
  if (open === "stop") {
    return use(Confirm, {
      title: "Stop",
      text: `${plural(ids.length, "run")} will be told to stop; a program that uses ClearML's SDK exits within seconds.`,
      work: () => many("tasks.stop_many", { ids }),
      onClose,
      onDone: done,
    });
  }
  return null;
}

/**
 * Calls a `_many` endpoint and reports failures.
 * @param {string} endpoint
 * @param {Record<string, any>} body
 */
async function many(endpoint, body) {
  const failed = [];
  for (let from = 0; from < body.ids.length; from += AT_ONCE) failed.push(...((await call(endpoint, { ...body, ids: body.ids.slice(from, from + AT_ONCE) })).failed ?? []));
  if (failed.length) toast(`${plural(failed.length, "run")} not changed: ${failed[0].error?.msg ?? "refused"}`, { bad: true });
}

/**
 * @param {{title: string, text?: string, danger?: boolean, wait?: boolean, children?: any, extra?: any, work: () => Promise<void>, onClose: () => void, onDone: () => void}} props
 */
function Confirm({ title, text, danger = false, wait = false, children, extra, work, onClose, onDone }) {
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    setBusy(true);
    try {
      await work();
      onDone();
    } catch (caught) {
      setError(sentence(/** @type {Error} */ (caught)));
      setBusy(false);
    }
  };
  return use(
    Dialog,
    { title, onClose },
    form(
      { class: "dialog-form", onSubmit: submit },
      text && p(text),
      children,
      error && p({ class: "form-error", role: "alert" }, error),
      div(
        { class: "dialog-actions" },
        extra,
        button({ type: "button", class: "button", onClick: onClose }, "Cancel"),
        button({ class: danger ? "button primary danger" : "button primary", disabled: busy || wait }, title),
      ),
    ),
  );
}

/** @param {{runs: Run[], onClose: () => void, onDone: () => void}} props */
function TagDialog({ runs, onClose, onDone }) {
  const [text, setText] = useState("");
  const [remove, setRemove] = useState(/** @type {string[]} */ ([]));
  const [known, setKnown] = useState(/** @type {string[]} */ ([]));
  useEffect(() => {
    knownTags().then(setKnown, () => undefined); // suggestions only
  }, []);
  const present = [...new Set(runs.flatMap((run) => run.tags ?? []))].sort();
  const add = text.split(",").map((one) => one.trim()).filter(Boolean);
  const work = async () => {
    for (const run of runs) {
      const old = /** @type {string[]} */ (run.tags ?? []);
      const next = [...new Set([...old.filter((one) => !remove.includes(one)), ...add])];
      if (next.join("\n") !== old.join("\n")) await call("tasks.update", { task: run.id, tags: next });
    }
  };
  return use(
    Confirm,
    { title: "Tag", wait: !add.length && !remove.length, work, onClose, onDone },
    label({ class: "stack" }, span("Add tags, separated by commas"), input({ type: "text", list: "known-tags", value: text, autofocus: true, onInput: (/** @type {InputEvent} */ event) => setText(/** @type {HTMLInputElement} */ (event.target).value) })),
    datalist({ id: "known-tags" }, known.map((one) => option({ key: one, value: one }))),
    present.length > 0 &&
      ul(
        { class: "stack", "aria-label": "Tags of the selected runs" },
        present.map((one) =>
          li({ key: one }, label(input({ type: "checkbox", checked: !remove.includes(one), onChange: () => setRemove(remove.includes(one) ? remove.filter((other) => other !== one) : [...remove, one]) }), " ", one)),
        ),
      ),
  );
}

/** @param {{runs: Run[], onClose: () => void, onArchive: () => void, onDone: () => void}} props */
function DeleteDialog({ runs, onClose, onArchive, onDone }) {
  const ids = runs.map((run) => run.id);
  const [size, setSize] = useState(/** @type {{events: number, bytes: number} | null} */ (null));
  const [problem, setProblem] = useState("");
  useEffect(() => {
    const control = new AbortController();
    (async () => {
      const sum = { events: 0, bytes: 0 };
      for (const id of ids.slice(0, MEASURED)) {
        const found = await call("events.get_task_storage", { task: id }, { signal: control.signal });
        sum.events += found.count;
        sum.bytes += found.bytes;
      }
      setSize(sum);
    })().catch((error) => control.signal.aborted || setProblem(sentence(error)));
    return () => control.abort();
  }, []);
  const forced = runs.filter((run) => run.status === "in_progress" || run.status === "published");
  const what = [plural(ids.length, "run"), size ? `${ids.length > MEASURED ? "at least " : ""}${plural(size.events, "event")}, ${bytes(size.bytes)}` : problem || "counting …"].join(", ");
  return use(
    Confirm,
    {
      title: "Delete",
      danger: true,
      text: `${what}. This can't be undone.`,
      work: () => many("tasks.delete_many", { ids, force: forced.length > 0 }),
      extra: button({ type: "button", class: "button", onClick: onArchive }, "Archive instead"),
      onClose,
      onDone,
    },
    forced.length > 0 && p({ class: "warn" }, icon("warning"), ` ${plural(forced.length, "run is", "runs are")} running or published and will be deleted by force.`),
  );
}
