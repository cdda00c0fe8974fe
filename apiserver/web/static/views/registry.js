// The routes. A view's module is loaded when it is first opened and exports the component as `default`.

import { runId } from "../core/first.js";

/**
 * @typedef {{match: (path: string) => Record<string, string> | null, load: () => Promise<{default: any}>}} Route
 */

/** @param {string} path */
const exactly = (path) => (/** @type {string} */ given) => (given === path ? {} : null);

/** @param {string} path */
const run = (path) => {
  const id = runId(path);
  return id ? { id } : null;
};

/** @type {Route[]} */
export const routes = [
  { match: exactly("/"), load: () => import("./runs.js") },
  { match: exactly("/projects"), load: () => import("./projects.js") },
  { match: exactly("/compare"), load: () => import("./compare.js") },
  { match: exactly("/login"), load: () => import("./login.js") },
  { match: run, load: () => import("./run.js") },
];

/** @param {string} path */
export function find(path) {
  for (const route of routes) {
    const params = route.match(path);
    if (params) return { route, params };
  }
  return null;
}
