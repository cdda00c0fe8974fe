// The configuration of a run: hyper-parameters, configuration objects, code and packages.
import { useMemo } from "../vendor/hooks.js";
import { call } from "../core/api.js";
import { finder } from "../chart/find.js";
import { integer, plural } from "../core/format.js";
import { place, setParams } from "../core/url.js";
import { button, code, dd, div, dl, dt, h2, input, p, section, span, table, tbody, td, th, thead, tr, use } from "../chart/elements.js";
import { useCall, useKeys, useSignal } from "../ui/hooks.js";
import { Problem } from "../ui/problem.js";
import { copyText } from "../ui/toast.js";
import { TextBlock } from "./text-block.js";

/** @param {{id: string, run: any, revision: number}} props */
export default function Config({ id, revision }) {
  const found = useCall(
    async (signal) => (await call("tasks.get_by_id_ex", { id: [id], only_fields: ["hyperparams", "configuration", "script", "container", "runtime"] }, { signal })).tasks[0] ?? {},
    [id, revision],
  );
  const { params } = useSignal(place);
  const search = params.get("m") ?? "";
  useKeys("Config", [{ keys: "/", does: "find parameter", run: () => /** @type {HTMLElement | null} */ (document.querySelector(".config-find"))?.focus() }]);
  const parameters = useMemo(() => parametersOf(found.data?.hyperparams), [found.data]);
  if (found.error && !found.data) return use(Problem, { error: found.error, again: found.again });
  if (!found.data) return div({ class: "view-loading", "aria-busy": "true" });
  const { configuration = {}, script = {}, container = {}, runtime = {} } = found.data;
  const fits = finder(search);
  const shown = parameters.filter((one) => fits(`${one.section}/${one.name}`) || fits(one.value));
  const sections = [...new Set(shown.map((one) => one.section))];
  const objects = Object.values(configuration).filter((/** @type {any} */ one) => fits(one.name) || fits(String(one.value)));
  const nothing = !parameters.length && !Object.keys(configuration).length && !script?.entry_point && !script?.repository && !script?.diff;
  return div(
    div(
      { class: "view-bar" },
      input({ type: "search", class: "config-find", placeholder: "Find parameter or text", "aria-label": "Find parameter or text", value: search, onInput: (/** @type {any} */ event) => setParams({ m: event.target.value }) }),
      parameters.length > 0 && span({ class: "muted" }, search ? `${integer(shown.length)} of ${plural(parameters.length, "parameter")}` : plural(parameters.length, "parameter")),
      span({ class: "spread" }),
      parameters.length > 0 && button({ type: "button", class: "button", onClick: () => void copyText(asArguments(parameters), "command line arguments") }, "Copy as CLI arguments"),
      parameters.length > 0 && button({ type: "button", class: "button", onClick: () => void copyText(asJson(parameters), "JSON") }, "Copy as JSON"),
    ),
    div(
      { class: "view" },
      nothing && div({ class: "blank" }, h2("No configuration"), p({ class: "muted" }, "The run reported no parameters, no configuration objects and no code.")),
      sections.map((name) => {
        const rows = shown.filter((one) => one.section === name);
        return section(
          { key: name },
          h2(name, span({ class: "muted" }, integer(rows.length))),
          div(
            { class: "table-scroll" },
            table(
              { class: "plain" },
              thead(tr(th("Parameter"), th("Value"), th("Type"))),
              tbody(rows.map((one) => tr({ key: one.name }, td({ class: "wrap-anywhere", title: one.description }, one.name), td({ class: "wrap-anywhere mono" }, one.value), td({ class: "muted" }, one.type)))),
            ),
          ),
        );
      }),
      objects.map((/** @type {any} */ one) => section({ key: `object ${one.name}` }, use(TextBlock, { title: one.name, text: one.value ?? "" }))),
      (script?.repository || script?.entry_point) &&
        section(
          h2("Code"),
          dl(
            { class: "facts" },
            [["Repository", script.repository], ["Branch", script.branch], ["Commit", script.version_num], ["Tag", script.tag], ["Entry point", script.entry_point], ["Folder", script.working_dir], ["Program", script.binary], ["Container", container?.image]].map(
              ([name, value]) => value && div({ key: name }, dt(name), dd(code(value))),
            ),
          ),
        ),
      script?.diff && section(use(TextBlock, { title: script.repository ? "Uncommitted changes" : "Script", text: script.diff, diff: Boolean(script.repository) })),
      packages(script?.requirements).map(([name, text]) => section({ key: `packages ${name}` }, use(TextBlock, { title: `Packages (${name})`, text }))),
      runtime && Object.keys(runtime).length > 0 && section(use(TextBlock, { title: "Runtime", text: JSON.stringify(runtime, null, 2) })),
    ),
  );
}

/** @param {any} hyperparams @returns {{section: string, name: string, value: string, type: string, description: string}[]} */
function parametersOf(hyperparams) {
  return Object.entries(hyperparams ?? {}).flatMap(([part, entries]) =>
    Object.entries(/** @type {any} */ (entries)).map(([name, entry]) => ({
      section: part, name, value: String(/** @type {any} */ (entry)?.value ?? ""), type: /** @type {any} */ (entry)?.type ?? "", description: /** @type {any} */ (entry)?.description ?? "",
    })),
  );
}

/** Parameters as arguments for a POSIX shell. @param {{name: string, value: string}[]} parameters */
function asArguments(parameters) {
  const quoted = (/** @type {string} */ text) => (/^[\w./:=,+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
  return parameters.map(({ name, value }) => `${quoted(`--${name}`)} ${quoted(value) || "''"}`).join(" ");
}

/** @param {{section: string, name: string, value: string}[]} parameters */
function asJson(parameters) {
  /** @type {Record<string, Record<string, string>>} */
  const sections = {};
  for (const { section: part, name, value } of parameters) (sections[part] ??= {})[name] = value;
  return JSON.stringify(sections, null, 2);
}

/** @param {any} requirements @returns {[string, string][]} */
function packages(requirements) {
  return Object.entries(requirements ?? {}).filter((entry) => typeof entry[1] === "string" && entry[1].trim()).map(([name, text]) => [name, String(text)]);
}
