// Dark and light theme. Charts subscribe to `theme` and redraw.
import { effect, signal } from "../vendor/signals.js";
import { preference, setPreference } from "./prefs.js";

const system = matchMedia("(prefers-color-scheme: dark)");
const systemDark = signal(system.matches);
system.addEventListener("change", () => {
  systemDark.value = system.matches;
});

/** Forced colours (high contrast): the theme follows the system. */
const forced = matchMedia("(forced-colors: active)");
const systemForced = signal(forced.matches);
forced.addEventListener("change", () => {
  tokens.clear();
  systemForced.value = forced.matches;
});

/** "light", "dark" or "system". */
export const themeChoice = preference("theme", "system");

/** The theme in use: "light" or "dark". @type {import("../vendor/signals.js").Signal<string>} */
export const theme = signal(document.documentElement.dataset.theme ?? "light");

effect(() => {
  const choice = systemForced.value ? "system" : themeChoice.value;
  theme.value = choice === "dark" || (choice !== "light" && systemDark.value) ? "dark" : "light";
  document.documentElement.dataset.theme = theme.value;
});

export function toggleTheme() {
  setPreference("theme", theme.value === "dark" ? "light" : "dark");
}

/**
 * The value of a design token, for drawing on a canvas: `token("--line")`.
 * @param {string} name
 */
export function token(name) {
  const key = `${theme.value} ${name}`;
  const value = tokens.get(key) ?? read(name);
  if (value) tokens.set(key, value);
  return value;
}

/** @param {string} name */
function read(name) {
  const value = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  if (!forced.matches || !name.match(/^--(bg|soft|raised|line|edge|fg|muted|accent)$/)) return value;
  // A word such as CanvasText: what colour it is here.
  const probe = document.createElement("span");
  probe.style.color = value;
  document.body.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}

/** A cache: reading a computed style forces a style recalculation. @type {Map<string, string>} */
const tokens = new Map();
