// Elements as functions: `div({class: "row"}, b("Loss"), " 0.21")`. The properties may be omitted. Texts always become text nodes, never HTML.
import { Fragment, h } from "../vendor/preact.js";

/** @typedef {import("../vendor/preact.js").ComponentChild} Child */
/** @typedef {import("../vendor/preact.js").VNode<any>} VNode */

/**
 * @param {unknown} value
 * @returns {value is Record<string, any>}
 */
function isProps(value) {
  // Preact's nodes have `constructor: undefined`, so that JSON can't be mistaken for one.
  return typeof value === "object" && value !== null && !Array.isArray(value) && Object.getPrototypeOf(value) === Object.prototype && !Object.hasOwn(value, "constructor");
}

/**
 * @param {any} type element name or component
 * @returns {(...args: any[]) => VNode}
 */
export function tag(type) {
  return (...args) => (isProps(args[0]) ? h(type, args[0], ...args.slice(1)) : h(type, null, ...args));
}

/**
 * A component with its properties: `use(Chart, {series})`.
 * @param {any} component
 * @param {Record<string, any>} [props]
 * @param {...Child} children
 * @returns {VNode}
 */
export const use = (component, props, ...children) => h(component, props ?? null, ...children);

export const fragment = (/** @type {Child[]} */ ...children) => h(Fragment, null, ...children);

export const a = tag("a");
export const aside = tag("aside");
export const b = tag("b");
export const button = tag("button");
export const canvas = tag("canvas");
export const code = tag("code");
export const dd = tag("dd");
export const details = tag("details");
export const div = tag("div");
export const dl = tag("dl");
export const dt = tag("dt");
export const form = tag("form");
export const h1 = tag("h1");
export const h2 = tag("h2");
export const h3 = tag("h3");
export const header = tag("header");
export const footer = tag("footer");
export const img = tag("img");
export const input = tag("input");
export const kbd = tag("kbd");
export const label = tag("label");
export const li = tag("li");
export const main = tag("main");
export const mark = tag("mark");
export const nav = tag("nav");
export const option = tag("option");
export const p = tag("p");
export const pre = tag("pre");
export const section = tag("section");
export const select = tag("select");
export const small = tag("small");
export const span = tag("span");
export const strong = tag("strong");
export const summary = tag("summary");
export const table = tag("table");
export const tbody = tag("tbody");
export const td = tag("td");
export const textarea = tag("textarea");
export const th = tag("th");
export const thead = tag("thead");
export const time = tag("time");
export const tr = tag("tr");
export const ul = tag("ul");
