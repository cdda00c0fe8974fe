// Shown without runs: three ways to get one, ready to copy. The table appears with the first run.
import { button, code, div, h1, h2, p, pre, section } from "../ui/html.js";
import { icon } from "../ui/icons.js";
import { copyText } from "../ui/toast.js";
import { archivedHint, useArchived } from "./nothing.js";

/** The query of every run. */
const EVERY = {};

export function Empty() {
  const archived = useArchived(EVERY);
  const here = window.location.origin;
  return div(
    { class: "empty" },
    h1(archived ? "All runs are archived" : "No runs yet"),
    archivedHint(archived, "", ""),
    p({ class: "muted" }, archived ? "This page fills by itself when a run reports. Three ways:" : "This page fills by itself when the first run reports. Three ways:"),
    div(
      { class: "ways" },
      way("ClearML's SDK", "In the shell that starts your training. ", `export CLEARML_API_HOST=${here}\nexport CLEARML_WEB_HOST=${here}\nexport CLEARML_FILES_HOST=${here}/files\n# access key and secret: tidemark keys`),
      way("A few lines of Python", "Nothing to install.", script(here)),
      way("Runs that you have", "Runicorn's folder, or TensorBoard's event files.", "tidemark import ~/RunicornStorage"),
    ),
    p({ class: "muted" }, "Keys are shown by ", code("tidemark keys"), "; calls from the server's own machine need none unless a login is required."),
  );
}

/** @param {string} here */
function script(here) {
  return `import json, math, urllib.request

events = [{"type": "training_stats_scalar", "task": "first-run", "metric": "train",
           "variant": "loss", "iter": i, "value": math.exp(-i / 30)} for i in range(100)]
urllib.request.urlopen(urllib.request.Request("${here}/events.add_batch",
    "\\n".join(map(json.dumps, events)).encode(), {"Content-Type": "application/json-lines"}))`;
}

/** @param {string} title @param {string} does @param {string} text */
function way(title, does, text) {
  return section(
    { class: "card way" },
    div({ class: "way-head" }, h2(title), button({ type: "button", class: "button", "aria-label": `Copy: ${title}`, onClick: () => void copyText(text, "text") }, icon("copy"), "Copy")),
    p({ class: "muted" }, does),
    pre({ tabIndex: 0 }, text),
  );
}
