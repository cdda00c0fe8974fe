// Runs before the first paint and before the modules: avoids a white flash in dark mode, and sends the first calls while the modules load.
import { ahead, firstCalls, preferencesCall, REMEMBERED } from "./core/first.js";

/** @param {"localStorage" | "sessionStorage"} store @param {string} name */
function stored(store, name) {
  try {
    return window[store].getItem(name);
  } catch {
    return null; // storage is disabled
  }
}

// With forced colours (high contrast) the theme follows the system.
const theme = matchMedia("(forced-colors: active)").matches ? "" : stored("localStorage", "tidemark.page.theme");
const dark = theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
document.documentElement.dataset.theme = dark ? "dark" : "light";

const { pathname, search } = window.location;
if (pathname !== "/login") for (const call of [...firstCalls(pathname, new URLSearchParams(search), stored("sessionStorage", REMEMBERED)), preferencesCall]) ahead(call);
