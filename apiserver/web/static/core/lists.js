// Lists of names in a parameter of the address: "loss,acc", and with parts "loss;0.1;0.5,acc;0;1". Names keep "," ";" and "~" as "~." "~-" "~~".

/** @type {Record<string, string>} */
const WRITTEN = { "~": "~~", ",": "~.", ";": "~-" };
/** @type {Record<string, string>} */
const READ = { "~~": "~", "~.": ",", "~-": ";" };

/** @param {string} text */
const written = (text) => text.replace(/[~,;]/g, (sign) => WRITTEN[sign]);

/** @param {string} text */
const read = (text) => text.replace(/~[~.-]/g, (pair) => READ[pair]);

/** @param {string[]} names */
export const writeNames = (names) => names.map(written).join(",");

/** @param {string} text @returns {string[]} */
export const readNames = (text) => text.split(",").filter(Boolean).map(read);

/** @param {string[][]} entries the first part of each is its name */
export const writeEntries = (entries) => entries.map((parts) => parts.map(written).join(";")).join(",");

/** The parts behind each name. @param {string} text @returns {Map<string, string[]>} */
export function readEntries(text) {
  const entries = text.split(",").filter(Boolean).map((entry) => entry.split(";").map(read));
  return new Map(entries.map(([name, ...parts]) => [name ?? "", parts]));
}
