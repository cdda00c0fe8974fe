// Modal dialogs on the browser's <dialog>: focus stays inside, Escape closes, the focus goes back afterwards.
import { useEffect, useRef } from "../vendor/hooks.js";
import { button, div, h2, tag } from "./html.js";
import { icon } from "./icons.js";

const dialog = tag("dialog");

/**
 * @param {{title: string, onClose?: () => void, wide?: boolean, children?: any}} props `onClose` missing: the dialog can't be closed
 */
export function Dialog({ title, onClose, wide = false, children }) {
  const element = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useEffect(() => {
    const back = /** @type {HTMLElement | null} */ (document.activeElement);
    element.current?.showModal();
    return () => back?.focus?.();
  }, []);
  const close = (/** @type {Event} */ event) => {
    event.preventDefault();
    onClose?.();
  };
  return dialog(
    {
      ref: element,
      class: wide ? "dialog wide" : "dialog",
      "aria-label": title,
      onCancel: close,
      onMouseDown: (/** @type {MouseEvent} */ event) => event.target === element.current && onClose?.(),
    },
    div(
      { class: "dialog-body" },
      div(
        { class: "dialog-head" },
        h2(title),
        onClose && button({ class: "icon-button", type: "button", "aria-label": "Close", onClick: close }, icon("close")),
      ),
      children,
    ),
  );
}
