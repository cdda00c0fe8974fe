// The menu behind the dots of a card: closes after a choice, on Escape and on a click elsewhere.
import { useEffect, useRef, useState } from "../vendor/hooks.js";
import { button, div } from "../ui/html.js";
import { icon } from "../ui/icons.js";

/** @param {{title: string, entries: {text: string, run: () => void}[], name?: string}} props */
export function CardMenu({ title, entries, name = "dots" }) {
  const [open, setOpen] = useState(false);
  const root = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    if (!open) return undefined;
    root.current?.querySelector(/** @type {any} */ ("[role=menuitem]"))?.focus();
    const away = (/** @type {Event} */ event) => root.current?.contains(/** @type {Node} */ (event.target)) || setOpen(false);
    document.addEventListener("pointerdown", away);
    return () => document.removeEventListener("pointerdown", away);
  }, [open]);
  const close = () => {
    setOpen(false);
    root.current?.querySelector("button")?.focus();
  };
  const keys = (/** @type {KeyboardEvent} */ event) => {
    if (!open) return;
    const items = /** @type {HTMLElement[]} */ ([...(root.current?.querySelectorAll("[role=menuitem]") ?? [])]);
    const now = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    if (event.key === "Escape") close();
    else if (event.key === "ArrowDown") items[(now + 1) % items.length]?.focus();
    else if (event.key === "ArrowUp") items[(now - 1 + items.length) % items.length]?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return div(
    { class: "card-menu", ref: root, onKeyDown: keys },
    button(
      { type: "button", class: "icon-button small", "aria-label": `Menu of ${title}`, "aria-haspopup": "menu", "aria-expanded": open ? "true" : "false", onClick: () => setOpen(!open) },
      icon(name),
    ),
    open &&
      div(
        { role: "menu", class: "menu-list", "aria-label": title },
        entries.map((entry) =>
          button({ key: entry.text, type: "button", role: "menuitem", tabIndex: -1, onClick: () => (close(), entry.run()) }, entry.text),
        ),
      ),
  );
}
