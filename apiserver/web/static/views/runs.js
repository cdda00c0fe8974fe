// Stub.
import { h1, use } from "../ui/html.js";
import { Page } from "../ui/shell.js";

/** @param {Record<string, string>} props */
export default function View(props) {
  return use(Page, { class: "narrow" }, h1("runs " + (props.id ?? "")));
}
