// The keyboard map of the present view, and how times are shown.
import { signal } from "../vendor/signals.js";
import { groups } from "../core/keys.js";
import { toggleUtc, utc } from "../core/zone.js";
import { Dialog } from "./dialog.js";
import { dd, div, dl, dt, h3, input, kbd, label, section, span, use } from "./html.js";
import { useSignal } from "./hooks.js";

export const helpOpen = signal(false);

/** @type {Record<string, string>} */
const NAMES = {
  ArrowDown: "↓",
  ArrowUp: "↑",
  ArrowLeft: "←",
  ArrowRight: "→",
  Escape: "esc",
  Enter: "enter",
  Space: "space",
  Delete: "del",
};

export function Help() {
  const open = useSignal(helpOpen);
  const shown = useSignal(groups);
  const isUtc = useSignal(utc);
  if (!open) return null;
  return use(
    Dialog,
    { title: "Keyboard map", wide: true, onClose: () => (helpOpen.value = false) },
    label(input({ type: "checkbox", checked: isUtc, onChange: toggleUtc }), " Show times in UTC"),
    div(
      { class: "help" },
      shown.map((group) =>
        section(
          { key: group.title },
          h3(group.title),
          dl(group.keys.map((key) => div({ class: "help-row" }, dt(spelled(key.keys)), dd(key.does)))),
        ),
      ),
    ),
  );
}

/** @param {string} keys */
function spelled(keys) {
  return keys.split(" | ").map((one, index) => span({ class: "help-keys" }, index > 0 && " or ", ...one.split(" ").map(keyCaps)));
}

/** @param {string} name */
function keyCaps(name) {
  const parts = name.startsWith("Shift+") ? ["shift", name.slice(6)] : [name];
  return parts.map((part) => kbd(NAMES[part] ?? part));
}
