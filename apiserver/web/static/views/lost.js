// The "not found" view.
import { div, h1, p, use } from "../ui/html.js";
import { link } from "../ui/link.js";
import { Page } from "../ui/shell.js";

/** @param {{path: string}} props */
export default function Lost({ path }) {
  return use(Page, { class: "narrow" }, div({ class: "blank" }, h1("There is nothing at this address"), p({ class: "muted" }, path), p(link({ href: "/" }, "All runs"))));
}
