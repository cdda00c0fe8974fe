// Short messages at the bottom, announced to screen readers.
import { signal } from "../vendor/signals.js";
import { button, div, span } from "./html.js";
import { useSignal } from "./hooks.js";

/** @typedef {{id: number, text: string, bad: boolean, action?: {text: string, run: () => void}}} Toast */

const SHOWN_MS = 5_000;
/** @type {import("../vendor/signals.js").Signal<Toast[]>} */
const toasts = signal([]);
let last = 0;

/**
 * @param {string} text
 * @param {{bad?: boolean, action?: {text: string, run: () => void}}} [options]
 */
export function toast(text, { bad = false, action } = {}) {
  const id = ++last;
  toasts.value = [...toasts.value.slice(-3), { id, text, bad, action }];
  setTimeout(() => dismiss(id), action || bad ? 2 * SHOWN_MS : SHOWN_MS);
}

/** @param {number} id */
function dismiss(id) {
  toasts.value = toasts.value.filter((one) => one.id !== id);
}

export function Toasts() {
  const shown = useSignal(toasts);
  return div(
    { class: "toasts", role: "status", "aria-live": "polite" },
    shown.map((one) =>
      div(
        { key: one.id, class: one.bad ? "toast bad" : "toast" },
        span(one.text),
        one.action &&
          button(
            {
              type: "button",
              class: "link",
              onClick: () => {
                dismiss(one.id);
                one.action?.run();
              },
            },
            one.action.text,
          ),
      ),
    ),
  );
}

/**
 * Copies a text and shows a confirmation.
 * @param {string} text
 * @param {string} what such as "link"
 */
export async function copyText(text, what) {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    // Without a secure context (http on another host) there is no clipboard API; a selected text field can be copied.
    const field = document.createElement("textarea");
    field.value = text;
    field.className = "offscreen";
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    if (!done) {
      toast(`The browser did not let the page copy the ${what}`, { bad: true });
      return;
    }
  }
  toast(`Copied the ${what}`);
}
