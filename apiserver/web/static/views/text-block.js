// A text with line numbers, a button to copy it and, for a diff, colours and signs.
import { useState } from "../vendor/hooks.js";
import { integer, plural } from "../core/format.js";
import { button, div, h2, li, span, tag } from "../chart/elements.js";
import { copyText } from "../ui/toast.js";

const SHOWN = 500;
const ol = tag("ol");

/** @param {{title: string, text: string, diff?: boolean}} props */
export function TextBlock({ title, text, diff = false }) {
  const [all, setAll] = useState(false);
  const lines = text.replace(/\n$/, "").split("\n");
  const shown = all ? lines : lines.slice(0, SHOWN);
  return div(
    div(
      { class: "section-head" },
      h2(title),
      span({ class: "muted" }, plural(lines.length, "line")),
      span({ class: "spread" }),
      button({ type: "button", class: "button", onClick: () => void copyText(text, title) }, "Copy"),
    ),
    div(
      { class: "text-block", tabIndex: 0, role: "region", "aria-label": title },
      ol(shown.map((line, index) => li({ key: index, class: diff ? kind(line) : "" }, line.length > 5000 ? `${line.slice(0, 5000)}…` : line))),
    ),
    lines.length > shown.length && button({ type: "button", class: "link", onClick: () => setAll(true) }, `Show all ${integer(lines.length)} lines`),
  );
}

/** @param {string} line */
function kind(line) {
  if (line.startsWith("@@") || line.startsWith("diff ") || line.startsWith("+++") || line.startsWith("---")) return "hunk";
  return line.startsWith("+") ? "added" : line.startsWith("-") ? "removed" : "";
}
