// The filter field with completion; an error is underlined and says what was expected.
import { useEffect, useRef, useState } from "../vendor/hooks.js";
import * as words from "../core/vocabulary.js";
import { complete } from "../query/complete.js";
import { parse } from "../query/language.js";
import { button, div, input, li, span, ul } from "../ui/html.js";
import { useKeys } from "../ui/hooks.js";
import { icon } from "../ui/icons.js";

/** @typedef {import("../query/complete.js").Suggestion} Suggestion */

/**
 * @param {{value: string, onChange: (text: string) => void, mistake: import("../query/language.js").Mistake | null}} props `mistake`: of names, found by the view
 */
export function Filter({ value, onChange, mistake }) {
  const [text, setText] = useState(value);
  const [suggestions, setSuggestions] = useState(/** @type {Suggestion[]} */ ([]));
  const [at, setAt] = useState(-1);
  const [focus, setFocus] = useState(false);
  const field = useRef(/** @type {HTMLInputElement | null} */ (null));
  const timer = useRef(/** @type {ReturnType<typeof setTimeout> | undefined} */ (undefined));
  const round = useRef(0);
  const typed = parse(text).mistake;
  const shown = typed ?? (text === value ? mistake : null);

  useEffect(() => {
    if (document.activeElement !== field.current) setText(value);
  }, [value]);

  const send = (/** @type {string} */ next, wait = 250) => {
    clearTimeout(timer.current);
    if (!parse(next).mistake) timer.current = setTimeout(() => onChange(next.trim()), wait);
  };
  const suggest = async (/** @type {string} */ next) => {
    const mine = ++round.current;
    try {
      const [parameters, series, tags, users, projects, types] = await Promise.all([words.parameters(), words.series(), words.tags(), words.users(), words.projects(), words.types()]);
      const found = await complete(next, field.current?.selectionStart ?? next.length, { parameters, series, tags, users, projects, types, values: words.valuesOf });
      if (mine === round.current) {
        setSuggestions(found);
        setAt(-1);
      }
    } catch {
      setSuggestions([]); // without completion; the table shows the error
    }
  };
  const take = (/** @type {Suggestion} */ one) => {
    const done = /[:<>~]$/.test(one.text) ? one.text : `${one.text} `;
    const next = text.slice(0, one.from) + done + text.slice(one.to);
    setText(next);
    send(next);
    requestAnimationFrame(() => {
      field.current?.focus();
      field.current?.setSelectionRange(one.from + done.length, one.from + done.length);
      void suggest(next);
    });
  };
  const key = (/** @type {KeyboardEvent} */ event) => {
    const open = focus && suggestions.length > 0;
    if (event.key === "ArrowDown" && open) setAt((at + 1) % suggestions.length);
    else if (event.key === "ArrowUp" && open) setAt(at <= 0 ? suggestions.length - 1 : at - 1);
    else if ((event.key === "Enter" || event.key === "Tab") && open && at >= 0) take(/** @type {Suggestion} */ (suggestions[at]));
    else if (event.key === "Enter") {
      setSuggestions([]);
      send(text, 0);
    } else if (event.key === "Escape") {
      if (open) setSuggestions([]);
      else field.current?.blur();
    } else return;
    if (event.key !== "Enter" || open) event.preventDefault();
  };
  useKeys("Filter", [{ keys: "/", does: "filter", run: () => field.current?.focus() }]);

  const open = focus && suggestions.length > 0;
  return div(
    { class: "filter", role: "search" },
    icon("filter"),
    div(
      { class: "filter-field" },
      shown && div({ class: "filter-marks", "aria-hidden": "true" }, text.slice(0, shown.from), span({ class: "wrong" }, text.slice(shown.from, shown.to) || " "), text.slice(shown.to)),
      input({
        ref: field,
        type: "text",
        value: text,
        placeholder: "Filter: status:running tag:baseline lr<0.01 val/loss.min<0.5",
        "aria-label": "Filter of runs",
        role: "combobox",
        "aria-expanded": open,
        "aria-controls": "filter-list",
        "aria-autocomplete": "list",
        "aria-activedescendant": open && at >= 0 ? `filter-${at}` : undefined,
        "aria-invalid": shown ? "true" : undefined,
        "aria-describedby": shown ? "filter-mistake" : undefined,
        spellcheck: false,
        autocomplete: "off",
        autocapitalize: "off",
        onInput: (/** @type {InputEvent} */ event) => {
          const next = /** @type {HTMLInputElement} */ (event.target).value;
          setText(next);
          send(next);
          void suggest(next);
        },
        onKeyDown: key,
        onFocus: () => {
          setFocus(true);
          void suggest(text);
        },
        onBlur: () => setTimeout(() => setFocus(false), 120),
      }),
    ),
    text &&
      button(
        {
          type: "button",
          class: "icon-button",
          "aria-label": "Clear the filter",
          onClick: () => {
            setText("");
            send("", 0);
            field.current?.focus();
          },
        },
        icon("close"),
      ),
    div(
      { class: "filter-below" },
      shown && div({ class: "filter-mistake", id: "filter-mistake", role: "alert" }, shown.message),
      ul(
        { id: "filter-list", role: "listbox", "aria-label": "Completions", class: open ? "filter-list" : "visually-hidden" },
        open &&
          suggestions.map((one, index) =>
            li(
              {
                key: one.text,
                id: `filter-${index}`,
                role: "option",
                "aria-selected": index === at,
                class: index === at ? "at" : "",
                onMouseDown: (/** @type {MouseEvent} */ event) => {
                  event.preventDefault();
                  take(one);
                },
              },
              span({ class: "mono" }, one.text),
              span({ class: "muted" }, one.does),
            ),
          ),
      ),
    ),
  );
}
