// A row of the runs table. It is rendered again only when something of it changes. (A cached vnode would do the same, but it keeps the tree it was made in alive.)
import { Component } from "../vendor/preact.js";
import { thumbKey } from "../core/thumbnails.js";
import { runHref } from "../core/url.js";
import { ago, ms } from "../core/format.js";
import { button, div, input, span, td, tr, use } from "../ui/html.js";
import { useSignal } from "../ui/hooks.js";
import { link } from "../ui/link.js";
import { statusBadge } from "../ui/status.js";
import { Sparkline } from "./sparkline.js";

/** @typedef {import("../query/columns.js").Run} Run */
/** @typedef {import("../query/columns.js").Column} Column */
/** @typedef {import("../vendor/signals.js").Signal<import("./runs-curves.js").Curves>} Curves */
/**
 * @typedef {{
 *   run: Run, index: number, columns: Column[], curves: Curves, on: boolean, here: boolean, off: boolean, paint: string,
 *   act: {current: {choose: (index: number, event: MouseEvent) => void, onHide: (id: string) => void}},
 * }} RowProps `on`: selected; `here`: under the keyboard's cursor; `off`: hidden in charts
 */

/** @extends {Component<RowProps>} */
export class Row extends Component {
  /** @param {RowProps} next */
  shouldComponentUpdate(next) {
    return Object.entries(next).some(([name, value]) => value !== /** @type {any} */ (this.props)[name]);
  }

  /** @param {RowProps} props */
  render({ run, index, columns, curves, on, here, off, paint, act }) {
    const tags = /** @type {string[]} */ (run.tags ?? []);
    return tr(
      { class: `row${on ? " on" : ""}${here ? " cursor" : ""}`, "data-index": index, "aria-rowindex": index + 2, "aria-selected": on },
      td({ class: "pick" }, input({ type: "checkbox", checked: on, "aria-label": `Select ${run.name}`, onClick: (/** @type {MouseEvent} */ event) => act.current.choose(index, event) })),
      td(
        { class: "name" },
        div(
          button(
            { type: "button", class: "dot-button", "aria-pressed": off, "aria-label": `${off ? "Show" : "Hide"} ${run.name} in charts`, title: off ? "Show in charts" : "Hide in charts", onClick: () => act.current.onHide(run.id) },
            span({ class: "dot", style: off ? { boxShadow: `inset 0 0 0 2px ${paint}` } : { background: paint } }),
          ),
          link({ href: runHref(run.id), class: "run-name truncate", title: run.name }, run.name || run.id),
          tags.slice(0, 2).map((one) => span({ key: one, class: "chip truncate", title: one }, one)),
          tags.length > 2 && span({ class: "muted", title: tags.join(", ") }, `+${tags.length - 2}`),
        ),
      ),
      ...columns.map((one) => td({ key: one.id, class: one.numeric ? "num" : "truncate" }, cell(one, run, paint, curves))),
      td({ class: "rest" }),
    );
  }
}

/** @param {Column} one @param {Run} run @param {string} paint @param {Curves} curves */
function cell(one, run, paint, curves) {
  if (one.id === "status") return statusBadge(run.status, run.status === "in_progress" ? silence(run) : run.status_message);
  if (one.spark) return use(Curve, { curves, name: thumbKey(run.id, one.spark.metric, one.spark.variant), paint });
  if (one.id === "project" && run.project?.name) return link({ href: `/?project=${encodeURIComponent(run.project.name)}`, class: "quiet", title: run.project.name }, run.project.name);
  return span({ title: one.hint?.(run) || one.text(run) }, one.text(run));
}

/** @param {Run} run */
function silence(run) {
  return run.last_update ? `last report ${ago(ms(run.last_update))}` : "";
}

/** A curve that appears without its row being rendered again. @param {{curves: Curves, name: string, paint: string}} props */
function Curve({ curves, name, paint }) {
  const thumb = useSignal(curves).get(name);
  return thumb ? use(Sparkline, { thumb, paint }) : null;
}
