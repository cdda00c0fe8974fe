// Preferences that belong to the user, not to a link: theme, density, widths. Stored on the server; localStorage has a copy for an immediate start.
import { signal } from "../vendor/signals.js";
import { call } from "./api.js";
import { preferencesCall } from "./first.js";

const PREFIX = "tidemark.page.";
/** @type {Map<string, import("../vendor/signals.js").Signal<any>>} */
const known = new Map();
/** @type {Record<string, unknown>} */
let unsent = {};
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/**
 * A preference as a signal; its value is JSON.
 * @template T
 * @param {string} name letters, digits and "_"
 * @param {T} fallback
 * @returns {import("../vendor/signals.js").Signal<T>}
 */
export function preference(name, fallback) {
  let found = known.get(name);
  if (!found) {
    found = signal(local(name) ?? fallback);
    known.set(name, found);
  }
  return found;
}

/**
 * Sets a preference here and, half a second later, on the server.
 * @param {string} name
 * @param {unknown} value
 */
export function setPreference(name, value) {
  preference(name, value).value = value;
  keep(name, value);
  unsent[name] = value;
  clearTimeout(timer);
  timer = setTimeout(async () => {
    const page = unsent;
    unsent = {};
    try {
      await call("users.set_preferences", { preferences: { tidemark: { page } } });
    } catch {
      unsent = { ...page, ...unsent }; // sent with the next change; the local copy is what this reader sees
    }
  }, 500);
}

/** Loads the user's preferences from the server. */
export async function loadPreferences() {
  const { preferences } = await call(...preferencesCall);
  for (const [name, value] of Object.entries(preferences?.tidemark?.page ?? {})) {
    if (name in unsent) continue;
    keep(name, value);
    const found = known.get(name);
    if (found && JSON.stringify(found.value) !== JSON.stringify(value)) found.value = value; // what shows it is not made again for nothing
  }
}

/** @param {string} name */
function local(name) {
  try {
    const text = localStorage.getItem(PREFIX + name);
    if (text === null) return undefined;
    return name === "theme" ? text : JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * @param {string} name
 * @param {unknown} value
 */
function keep(name, value) {
  try {
    localStorage.setItem(PREFIX + name, name === "theme" ? String(value) : JSON.stringify(value)); // start.js reads it as plain text
  } catch {
    // Storage is disabled or full: the server's copy is enough.
  }
}
