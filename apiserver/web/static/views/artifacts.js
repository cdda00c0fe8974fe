// Models and files of a run.
import { call } from "../core/api.js";
import { bytes, stampWithZone } from "../core/format.js";
import { fileUrl, loadPrefixes } from "../core/files.js";
import { a, code, div, h2, p, pre, section, span, table, tbody, td, th, thead, tr, use } from "../chart/elements.js";
import { useCall } from "../ui/hooks.js";
import { Problem } from "../ui/problem.js";

/** @param {{id: string, revision: number}} props */
export default function Artifacts({ id, revision }) {
  const found = useCall(
    async (signal) => {
      await loadPrefixes();
      const task = (await call("tasks.get_by_id_ex", { id: [id], only_fields: ["models", "execution.artifacts", "output"] }, { signal })).tasks[0] ?? {};
      const links = [...(task.models?.output ?? []).map((/** @type {any} */ one) => ({ ...one, role: "output" })), ...(task.models?.input ?? []).map((/** @type {any} */ one) => ({ ...one, role: "input" }))];
      const ids = [...new Set(links.map((one) => (typeof one.model === "object" ? one.model?.id : one.model)).filter(Boolean))];
      const models = ids.length ? (await call("models.get_all_ex", { id: ids }, { signal })).models : [];
      const byId = new Map(models.map((/** @type {any} */ model) => [model.id, model]));
      return { artifacts: task.execution?.artifacts ?? [], links: links.map((one) => ({ ...one, model: byId.get(typeof one.model === "object" ? one.model?.id : one.model) })) };
    },
    [id, revision],
  );
  if (found.error && !found.data) return use(Problem, { error: found.error, again: found.again });
  if (!found.data) return div({ class: "view-loading", "aria-busy": "true" });
  const { artifacts, links } = found.data;
  return div(
    { class: "view" },
    !artifacts.length && !links.length && div({ class: "blank" }, h2("No artifacts"), p({ class: "muted" }, "Models and files that the run uploads appear here.")),
    links.length > 0 &&
      section(
        h2("Models"),
        div(
          { class: "table-scroll" },
          table(
            { class: "plain" },
            thead(tr(th("Model"), th("Role"), th("Framework"), th("Created"), th("File"))),
            tbody(
              links.map((one) =>
                tr(
                  { key: `${one.role} ${one.name}` },
                  td({ class: "wrap-anywhere" }, one.model?.name ?? one.name),
                  td(one.role),
                  td(one.model?.framework ?? ""),
                  td(stampWithZone(Date.parse(one.model?.created ?? "")).slice(0, 16)),
                  td(one.model ? file(one.model.uri) : span({ class: "muted" }, "this model was deleted")),
                ),
              ),
            ),
          ),
        ),
      ),
    artifacts.length > 0 &&
      section(
        h2("Artifacts"),
        div(
          { class: "table-scroll" },
          table(
            { class: "plain" },
            thead(tr(th("Name"), th("Type"), th({ class: "num" }, "Size"), th("SHA-256"), th("File"), th("Preview"))),
            tbody(
              artifacts.map((/** @type {any} */ one) =>
                tr(
                  { key: `${one.key} ${one.mode}` },
                  td({ class: "wrap-anywhere" }, one.key),
                  td(one.type ?? ""),
                  td({ class: "num" }, bytes(one.content_size)),
                  td({ title: one.hash }, code((one.hash ?? "").slice(0, 12))),
                  td(file(one.uri)),
                  td(one.type_data?.preview ? pre({ class: "preview" }, String(one.type_data.preview).slice(0, 600)) : ""),
                ),
              ),
            ),
          ),
        ),
      ),
  );
}

/** @param {string | undefined} uri */
function file(uri) {
  const address = fileUrl(uri);
  if (!address) return span({ class: "muted wrap-anywhere" }, uri ?? "");
  return a({ href: address, class: "wrap-anywhere", target: "_blank", rel: "noreferrer noopener", title: uri }, decodeURIComponentSafe(address.split("/").pop() ?? address));
}

/** @param {string} text */
function decodeURIComponentSafe(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
