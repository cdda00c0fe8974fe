// A line of the log: number, time, text with colours and highlighted hits.
import { ansiPieces } from "../core/ansi.js";
import { clockMs, duration, integer, stampWithZone } from "../core/format.js";
import { button, div, mark, span } from "../ui/html.js";
import { link } from "../ui/link.js";
import { chartsHref } from "./run-tabs.js";

/** @typedef {import("./log-source.js").Line} Line */

const CUT = 2_000;
/** Most characters shown of a line: longer ones freeze the browser's layout. The download has all. */
const MOST = 300_000;
const MOST_MARKS = 200;

/** @type {Record<string, string>} */
const KINDS = { error: "bad", critical: "bad", fatal: "bad", warning: "warn", warn: "warn", debug: "quiet", verbose: "quiet", notset: "" };

/**
 * @param {{line: Line, run: string, time: string, start: number, before: number | null, pattern: RegExp | null, current: boolean, whole: boolean, onWhole: () => void, onPick: () => void}} props
 */
export function LogLine({ line, run, time, start, before, pattern, current, whole, onWhole, onPick }) {
  const cut = !whole && line.msg.length > CUT;
  const text = line.msg.slice(0, whole ? MOST : CUT);
  const shown = timeText(line, time, start, before);
  return div(
    { class: `log-line ${KINDS[line.level] ?? ""}${current ? " current" : ""}`, "data-line": line.position },
    button({ type: "button", class: "log-number", tabIndex: -1, title: "Link to this line", onClick: onPick }, integer(line.position + 1)),
    time !== "none" && link({ class: "log-time", tabIndex: -1, href: chartsHref(run, line.timestamp), title: `${stampWithZone(line.timestamp)}: show in the charts` }, shown),
    span(
      { class: "log-text" },
      ansiPieces(text).map((piece, index) =>
        span({ key: index, class: [piece.color >= 0 ? `ansi-${piece.color}` : "", piece.bold && "ansi-bold", piece.dim && "ansi-dim", piece.italic && "ansi-italic", piece.underline && "ansi-underline"].filter(Boolean).join(" ") }, marked(piece.text, pattern)),
      ),
      cut && button({ type: "button", class: "link", onClick: onWhole }, ` … ${integer(line.msg.length)} characters, show ${line.msg.length > MOST ? "more" : "all"}`),
      whole && line.msg.length > MOST && span({ class: "muted" }, ` … the first ${integer(MOST)} of ${integer(line.msg.length)} characters; the download has all`),
    ),
  );
}

/** @param {string} text @param {RegExp | null} pattern */
function marked(text, pattern) {
  if (!pattern) return text;
  const parts = [];
  let from = 0;
  pattern.lastIndex = 0;
  for (const match of text.matchAll(pattern)) {
    if (!match[0] || parts.length > 2 * MOST_MARKS) break;
    parts.push(text.slice(from, match.index), mark({ key: match.index }, match[0]));
    from = match.index + match[0].length;
  }
  parts.push(text.slice(from));
  return parts;
}

/** @param {Line} line @param {string} time @param {number} start @param {number | null} before */
function timeText(line, time, start, before) {
  if (time === "start") return `+${duration(line.timestamp - start) || "0 s"}`;
  if (time === "previous") return before === null ? "" : `+${duration(line.timestamp - before) || "0 ms"}`;
  return clockMs(line.timestamp);
}
