// A button that opens a panel below it. Escape and a click elsewhere close it; the focus goes back to the button.
import { useEffect, useRef, useState } from "../vendor/hooks.js";
import { button, div } from "./html.js";

/**
 * @param {{label: any, title?: string, class?: string, align?: "left" | "right", panelClass?: string, children: (close: () => void) => any}} props
 */
export function Menu({ label, title, class: className = "button", align = "right", panelClass = "", children }) {
  const [open, setOpen] = useState(false);
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const close = () => {
    setOpen(false);
    box.current?.querySelector("button")?.focus();
  };
  useEffect(() => {
    if (!open) return undefined;
    const panel = box.current?.querySelector(".menu-panel");
    /** @type {HTMLElement | null | undefined} */ (panel?.querySelector("input, button, a"))?.focus();
    const elsewhere = (/** @type {Event} */ event) => box.current?.contains(/** @type {Node} */ (event.target)) || setOpen(false);
    const key = (/** @type {KeyboardEvent} */ event) => {
      if (event.key === "Escape") {
        event.preventDefault();
        close();
      }
    };
    document.addEventListener("pointerdown", elsewhere);
    document.addEventListener("keydown", key, true);
    return () => {
      document.removeEventListener("pointerdown", elsewhere);
      document.removeEventListener("keydown", key, true);
    };
  }, [open]);
  return div(
    { class: "menu", ref: box },
    button({ type: "button", class: className, title, "aria-label": title, "aria-expanded": open, onClick: () => setOpen(!open) }, label),
    open && div({ class: `menu-panel ${align} ${panelClass}` }, children(close)),
  );
}
