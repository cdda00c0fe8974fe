// The keyboard map. A view adds its keys while it is shown; `?` lists what is added. None fires in a text field.
import { signal } from "../vendor/signals.js";

/**
 * `keys`: one key as KeyboardEvent.key has it ("j", "?", "Escape", "Shift+ArrowDown") or a sequence with a blank ("g r"). Several with " | ".
 * @typedef {{keys: string, does: string, run: (event: KeyboardEvent) => void, when?: () => boolean}} Key
 * @typedef {{title: string, keys: Key[]}} KeyGroup
 */

/** Groups in the order in which they were added; later ones win. @type {import("../vendor/signals.js").Signal<KeyGroup[]>} */
export const groups = signal([]);

const SEQUENCE_MS = 1_000;
let pending = "";
let pendingSince = 0;

/**
 * Adds a group and returns the function that removes it.
 * @param {string} title
 * @param {Key[]} keys
 */
export function addKeys(title, keys) {
  const group = { title, keys };
  groups.value = [...groups.value, group];
  return () => {
    groups.value = groups.value.filter((one) => one !== group);
  };
}

/**
 * @param {EventTarget | null} target
 */
function isTextField(target) {
  if (!(target instanceof HTMLElement)) return false;
  if (target.isContentEditable || target instanceof HTMLTextAreaElement || target instanceof HTMLSelectElement) return true;
  return target instanceof HTMLInputElement && !["checkbox", "radio", "button", "range", "submit"].includes(target.type);
}

/** @param {KeyboardEvent} event */
function nameOf(event) {
  const named = event.key === " " ? "Space" : event.key;
  return event.shiftKey && named.length > 1 ? `Shift+${named}` : named;
}

/** @param {KeyboardEvent} event */
function handle(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
  if (isTextField(event.target)) return;
  if (document.querySelector("dialog[open]")) return;
  const name = nameOf(event);
  const target = /** @type {HTMLElement} */ (event.target);
  // A focused button or link keeps its own keys.
  if (name === "Enter" && target.closest?.("button, a, summary, input, [role=option], [role=menuitem]")) return;
  if (name === "Space" && target.closest?.("button, summary, input, [role=option], [role=menuitem]")) return;
  if (name.startsWith("Arrow") && target instanceof HTMLInputElement) return;
  const sequence = pending && event.timeStamp - pendingSince < SEQUENCE_MS ? `${pending} ${name}` : "";
  pending = "";
  const all = groups.value.flatMap((group) => group.keys).reverse();
  const active = all.filter((key) => !key.when || key.when());
  const spelled = (/** @type {Key} */ key) => key.keys.split(" | ");
  const found = (sequence && active.find((key) => spelled(key).includes(sequence))) || active.find((key) => spelled(key).includes(name));
  if (found) {
    event.preventDefault();
    found.run(event);
  } else if (active.some((key) => spelled(key).some((one) => one.startsWith(`${name} `)))) {
    pending = name;
    pendingSince = event.timeStamp;
  }
}

addEventListener("keydown", handle);
