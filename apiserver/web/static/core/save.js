// Saves generated files as downloads.

const KEPT_MS = 60_000;

/** A file name that is valid on every file system. @param {string} name */
const fileName = (name) => name.replace(/[^\p{L}\p{N}.-]+/gu, "_").slice(0, 150);

/**
 * Downloads a generated file.
 * @param {string} name
 * @param {Blob | string} content a text is a CSV
 */
export function save(name, content) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(typeof content === "string" ? new Blob([content], { type: "text/csv" }) : content);
  link.download = fileName(name);
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(link.href), KEPT_MS);
}
