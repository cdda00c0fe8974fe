// The bar above the log: search and its progress, levels, display of lines.
import { integer } from "../core/format.js";
import { setParams } from "../core/url.js";
import { button, div, input, option, select, span } from "../ui/html.js";
import { icon } from "../ui/icons.js";
import { sentence } from "../ui/problem.js";
import { MOST_HITS } from "./log-search.js";

const LEVELS = ["error", "warning", "info", "debug"];

/**
 * @param {{search: any, counts: Record<string, number>, levels: string[], wrap: boolean, time: string, follow: boolean, onTurn: (by: number) => void, onWrap: () => void,
 *   onTime: (time: string) => void, onFollow: () => void, onDownload: () => void}} props
 */
export function ConsoleBar({ search, counts, levels, wrap, time, follow, onTurn, onWrap, onTime, onFollow, onDownload }) {
  const { query, found, current } = search;
  const shown = [...new Set([...LEVELS, ...Object.keys(counts)])].filter((level) => counts[level] || levels.includes(level));
  const toggle = (/** @type {string} */ level) => setParams({ lvl: (levels.includes(level) ? levels.filter((one) => one !== level) : [...levels, level]).join(","), line: "" });
  const pressed = (/** @type {boolean} */ on) => (on ? "true" : "false");
  return div(
    { class: "view-bar console-bar" },
    div(
      { class: "log-search" },
      input({
        type: "search", class: "log-find", placeholder: "Search the whole log", "aria-label": "Search the whole log", value: query.text, spellcheck: false,
        onInput: (/** @type {any} */ event) => search.set({ text: event.target.value }),
        onKeyDown: (/** @type {KeyboardEvent} */ event) => event.key === "Enter" && onTurn(event.shiftKey ? -1 : 1),
      }),
      button({ type: "button", class: "button square", "aria-pressed": pressed(!query.ignoreCase), "aria-label": "Match case", title: "Match case", onClick: () => search.set({ matchCase: query.ignoreCase }) }, "Aa"),
      button({ type: "button", class: "button square", "aria-pressed": pressed(query.regex), "aria-label": "Regular expression", title: "Regular expression (RE2)", onClick: () => search.set({ regex: !query.regex }) }, ".*"),
    ),
    (query.text || levels.length > 0) &&
      div(
        { class: "log-progress", role: "status" },
        found?.error
          ? span({ class: "form-error" }, sentence(found.error))
          : !found
            ? span({ class: "muted" }, "searching …")
            : span({ class: "muted" }, found.done ? hits(found, current) : `${integer(found.searched)} of ${integer(found.total)} lines searched · ${integer(found.hits.length)} so far`),
        found && !found.done && button({ type: "button", class: "button", onClick: search.stop }, "Stop"),
        found && found.hits.length > 0 && button({ type: "button", class: "button square", "aria-label": "Previous hit", title: "Previous hit (N)", onClick: () => onTurn(-1) }, icon("up")),
        found && found.hits.length > 0 && button({ type: "button", class: "button square", "aria-label": "Next hit", title: "Next hit (n)", onClick: () => onTurn(1) }, icon("down")),
      ),
    span({ class: "spread" }),
    div(
      { class: "log-options" },
      div(
        { class: "log-levels", role: "group", "aria-label": "Levels" },
        shown.map((level) => button({ key: level, type: "button", class: `chip level-${level}`, "aria-pressed": pressed(levels.includes(level)), onClick: () => toggle(level) }, level, span({ class: "muted" }, integer(counts[level])))),
      ),
      select(
        { "aria-label": "Times", value: time, onChange: (/** @type {any} */ event) => onTime(event.target.value) },
        option({ value: "clock" }, "Time of day"), option({ value: "start" }, "Since start"), option({ value: "previous" }, "Since previous line"), option({ value: "none" }, "No times"),
      ),
      button({ type: "button", class: "button", "aria-pressed": pressed(wrap), title: "Wrap long lines (w)", onClick: onWrap }, "Wrap"),
      button({ type: "button", class: "button", "aria-pressed": pressed(follow), title: "Stay at the end (f)", onClick: onFollow }, "Follow"),
      button({ type: "button", class: "icon-button", "aria-label": "Download the whole log", title: "Download the whole log", onClick: onDownload }, icon("download")),
    ),
  );
}

/** @param {any} found @param {number} current */
function hits(found, current) {
  if (!found.hits.length) return "nothing found";
  const count = `${integer(found.hits.length)}${found.more ? "+" : ""}`;
  const limit = found.hits.length >= MOST_HITS ? " (search limit)" : "";
  return `${integer(current + 1)} of ${count}${limit}`;
}
