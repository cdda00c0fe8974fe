// Which address shows which view. A view is loaded when it is first opened; its module exports the component as `default`.

/**
 * @typedef {{match: (path: string) => Record<string, string> | null, load: () => Promise<{default: any}>}} Route
 */

/** @param {string} path */
const exactly = (path) => (/** @type {string} */ given) => (given === path ? {} : null);

/** @type {Route[]} */
export const routes = [
  { match: exactly("/"), load: () => import("./runs.js") },
  { match: exactly("/projects"), load: () => import("./projects.js") },
  { match: exactly("/compare"), load: () => import("./compare.js") },
  { match: exactly("/login"), load: () => import("./login.js") },
  { match: runId, load: () => import("./run.js") },
];

/**
 * Ids may hold slashes and dots, so everything behind /runs/ is the id.
 * @param {string} path
 */
function runId(path) {
  const id = path.startsWith("/runs/") ? path.slice("/runs/".length) : "";
  if (!id) return null;
  try {
    return { id: decodeURIComponent(id) };
  } catch {
    return { id };
  }
}

/** @param {string} path */
export function find(path) {
  for (const route of routes) {
    const params = route.match(path);
    if (params) return { route, params };
  }
  return null;
}
