// Completion of the filter language at the cursor.
import { seriesName } from "./compile.js";
import { FIELDS, STATUSES, quote, quoteName } from "./language.js";

/**
 * @typedef {{text: string, does: string, from: number, to: number}} Suggestion `text` replaces from..to
 * @typedef {{
 *   parameters: {section: string, name: string}[], series: {metric: string, variant: string}[],
 *   tags: string[], users: {name: string}[], projects: {name: string}[], types: string[],
 *   values: (parameter: {section: string, name: string}) => Promise<string[]>,
 * }} Names
 */

const MOST = 12;

/**
 * @param {string} text
 * @param {number} cursor
 * @param {Names} names
 * @returns {Promise<Suggestion[]>}
 */
export async function complete(text, cursor, names) {
  const before = text.slice(0, cursor);
  const token = before.match(/(?:[^\s"]|"[^"]*"?)*$/)?.[0] ?? "";
  const from = cursor - token.length;
  const list = token.match(/^-?((?:hp:)?[^:<>=!~]+)[:=](.*)$/s);
  if (list?.[1] && !/^(last|min|max|mean|first|count)$/.test(list[1]) && token !== "hp:") {
    const values = await valuesOf(list[1], names);
    const typed = (list[2] ?? "").split(",").at(-1) ?? "";
    const start = cursor - typed.length;
    return rank(values, typed.replace(/^"/, "")).map((value) => ({ text: quote(value), does: "", from: start, to: cursor }));
  }
  if (/[<>=~]/.test(token)) return [];
  const minus = token.startsWith("-") ? 1 : 0;
  const typed = token.slice(minus);
  const options = [
    ...Object.entries(FIELDS).map(([name, { takes, does }]) => ({ name, text: name + (takes === "list" ? ":" : takes === "text" ? "~" : ">"), does })),
    ...names.parameters.map(({ section, name }) => ({ name, text: `${quoteName(ambiguous(name, names) ? `${section}/${name}` : name)}:`, does: `parameter, ${section}` })),
    ...names.series.map((one) => ({ name: seriesName(one), text: `${quoteName(seriesName(one))}.min<`, does: "series: .last .min .max .mean" })),
  ];
  if (!typed && !before.trim()) return options.slice(0, MOST).map(({ text, does }) => ({ text, does, from: from + minus, to: cursor }));
  const lower = typed.toLowerCase();
  return options
    .filter((one) => one.name.toLowerCase().includes(lower) && one.text !== typed)
    .sort((a, b) => Number(b.name.toLowerCase().startsWith(lower)) - Number(a.name.toLowerCase().startsWith(lower)))
    .slice(0, MOST)
    .map(({ text, does }) => ({ text, does, from: from + minus, to: cursor }));
}

/** @param {string} name @param {Names} names */
function ambiguous(name, names) {
  return names.parameters.filter((one) => one.name === name).length > 1;
}

/** @param {string} field @param {Names} names */
async function valuesOf(field, names) {
  if (field === "status") return Object.keys(STATUSES);
  if (field === "tag") return names.tags;
  if (field === "user") return names.users.map((one) => one.name);
  if (field === "project") return names.projects.map((one) => one.name);
  if (field === "type") return names.types;
  if (field === "is") return ["archived"];
  const plain = field.replace(/^hp:/, "").replaceAll('"', "");
  const found = names.parameters.find((one) => `${one.section}/${one.name}` === plain || one.name === plain);
  return found ? names.values(found) : [];
}

/** @param {string[]} values @param {string} typed */
function rank(values, typed) {
  const lower = typed.toLowerCase();
  return values
    .filter((one) => one.toLowerCase().includes(lower) && one !== typed)
    .sort((a, b) => Number(b.toLowerCase().startsWith(lower)) - Number(a.toLowerCase().startsWith(lower)))
    .slice(0, MOST);
}
