// Models and files of a run.
import { useState } from "../vendor/hooks.js";
import { call, request } from "../core/api.js";
import { bytes, stampWithZone } from "../core/format.js";
import { fileUrl, isOwn, loadPrefixes } from "../core/files.js";
import { loadStyle } from "../core/style.js";
import { a, button, code, div, h2, p, pre, section, span, table, tbody, td, th, thead, tr, use } from "../chart/elements.js";
import { useCall } from "../ui/hooks.js";
import { Problem } from "../ui/problem.js";
import { toast } from "../ui/toast.js";
import { Sample } from "./sample.js";

await loadStyle("images");

/** Most characters shown of a text. */
const MOST_TEXT = 2_000;
const IMAGE = /\.(png|jpe?g|webp|gif)$/i;
const TEXT = /\.(txt|json|jsonl|csv|tsv|ya?ml|toml|ini|md|log|py|sh)$/i;

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
            thead(tr(th({ class: "name-column" }, "Model"), th("Role"), th({ class: "spare" }, "Framework"), th("Created"))),
            tbody(
              links.map((one) =>
                tr(
                  { key: `${one.role} ${one.name}` },
                  td({ class: "wrap-anywhere" }, one.model ? file(one.model.name ?? one.name, one.model.uri) : [one.name, span({ class: "muted" }, " was deleted")]),
                  td(one.role),
                  td({ class: "spare" }, one.model?.framework ?? ""),
                  td({ class: "no-wrap" }, stampWithZone(Date.parse(one.model?.created ?? "")).slice(0, 16)),
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
            thead(tr(th({ class: "name-column" }, "Name"), th("Type"), th({ class: "num" }, "Size"), th({ class: "spare" }, "SHA-256"), th("Preview"))),
            tbody(
              artifacts.map((/** @type {any} */ one) =>
                tr(
                  { key: `${one.key} ${one.mode}` },
                  td({ class: "wrap-anywhere" }, file(one.key, one.uri)),
                  td(one.type ?? ""),
                  td({ class: "num" }, bytes(one.content_size)),
                  td({ class: "spare", title: one.hash }, code((one.hash ?? "").slice(0, 12))),
                  td(use(Preview, { one })),
                ),
              ),
            ),
          ),
        ),
      ),
  );
}

/** A link to a file if browsers can reach it; else the stored URL as text. @param {string} name @param {string | undefined} uri */
function file(name, uri) {
  const address = fileUrl(uri);
  return address ? a({ href: address, target: "_blank", rel: "noreferrer noopener", title: uri }, name) : [name, uri && span({ class: "muted wrap-anywhere block" }, uri)];
}

/** The artifact's own preview; else a thumbnail, or the beginning of a text. @param {{one: any}} props */
function Preview({ one }) {
  const address = fileUrl(one.uri);
  const [text, setText] = useState("");
  const said = String(one.type_data?.preview ?? "");
  if (said || text) return pre({ class: "preview", tabIndex: 0, "aria-label": `Beginning of ${one.key}` }, (said || text).slice(0, MOST_TEXT));
  if (!isOwn(address)) return null;
  if (IMAGE.test(address)) return use(Sample, { picture: { url: address, kind: "image", stored: one.uri }, name: one.key, pixels: 160, onOpen: () => window.open(address, "_blank", "noopener") });
  if (!TEXT.test(address) && !String(one.type_data?.content_type ?? "").startsWith("text/")) return null;
  const read = async () => {
    try {
      const response = await request(address, { headers: { Range: `bytes=0-${MOST_TEXT - 1}` } });
      if (!response.ok) throw new Error(`the server answered ${response.status}`);
      setText((await response.text()) || "(empty)");
    } catch (error) {
      toast(`${one.key} can't be read: ${/** @type {Error} */ (error).message}`, { bad: true });
    }
  };
  return button({ type: "button", class: "link", "aria-label": `Show the beginning of ${one.key}`, onClick: read }, "show");
}
