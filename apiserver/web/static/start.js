// Runs before the first paint and before the program: a dark page never flashes white, and the first calls are under way while the program is read.
import { ahead, firstCalls, preferencesCall, REMEMBERED } from "./core/first.js";

/** @param {"localStorage" | "sessionStorage"} store @param {string} name */
function stored(store, name) {
  try {
    return window[store].getItem(name);
  } catch {
    return null; // storage is switched off
  }
}

// Where the reader's system has chosen all colours, the theme follows it.
const theme = matchMedia("(forced-colors: active)").matches ? "" : stored("localStorage", "tidemark.page.theme");
const dark = theme === "dark" || (theme !== "light" && matchMedia("(prefers-color-scheme: dark)").matches);
document.documentElement.dataset.theme = dark ? "dark" : "light";

const { pathname, search } = window.location;
if (pathname !== "/login") for (const call of [...firstCalls(pathname, new URLSearchParams(search), stored("sessionStorage", REMEMBERED)), preferencesCall]) ahead(call);
