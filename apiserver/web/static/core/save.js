// Files for the reader: the browser puts them where it puts downloads.

const KEPT_MS = 60_000;

/** A name that every file system takes. @param {string} name */
const fileName = (name) => name.replace(/[^\p{L}\p{N}.-]+/gu, "_").slice(0, 150);

/**
 * Offers a file to the reader.
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
