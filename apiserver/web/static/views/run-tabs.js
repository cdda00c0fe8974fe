// How the tabs of runs were left: a tab that is opened again shows what it showed, where its reader was.
import { address, assign, runHref } from "../core/url.js";

/** @type {Map<string, URLSearchParams>} */
const left = new Map();

/** @param {string} id @param {string} tab @param {URLSearchParams} params */
export const keepTab = (id, tab, params) => void left.set(`${tab} ${id}`, params);

/** @param {string} id @param {string} tab @param {Record<string, string | number>} [changes] */
export function tabHref(id, tab, changes = {}) {
  const params = new URLSearchParams(left.get(`${tab} ${id}`) ?? (tab === "charts" ? "" : { tab }));
  assign(params, changes);
  return address(runHref(id), params);
}

/** The log at a time. @param {string} id @param {number} time ms */
export const logHref = (id, time) => tabHref(id, "console", { t: Math.round(time), line: "", top: "", hit: "" });

/** The charts with their cursor at a time; ranges and half-lives of another axis have no meaning there. @param {string} id @param {number} time ms */
export function chartsHref(id, time) {
  const isWall = left.get(`charts ${id}`)?.get("x") === "wall";
  return tabHref(id, "charts", { x: "wall", at: time, r: "", ...(isWall ? {} : { s: "" }) });
}
