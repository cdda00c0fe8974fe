// Search for series by name: the same everywhere.

/**
 * Whether a name fits what was typed: a regular expression, or plain text while it is none. Case does not matter.
 * @param {string} text
 * @returns {(name: string) => boolean}
 */
export function finder(text) {
  if (!text) return () => true;
  try {
    const pattern = new RegExp(text, "i");
    return (name) => pattern.test(name);
  } catch {
    return (name) => name.toLowerCase().includes(text.toLowerCase()); // not (yet) a regular expression
  }
}

/**
 * Cards with a fitting title or series.
 * @template {{title: string, wanted: import("./source.js").Wanted[]}} Card
 * @param {Card[]} cards @param {string} text
 * @returns {Card[]}
 */
export function filtered(cards, text) {
  if (!text) return cards;
  const fits = finder(text);
  return cards.filter(({ title, wanted }) => fits(title) || (wanted[0]?.variants ?? []).some((variant) => fits(`${wanted[0]?.metric}/${variant}`)));
}

/**
 * The hidden lines of a chart after a click on a name of its legend: only that line, or (`hide`) without it. When nothing would be left, all are shown.
 * @param {Set<string>} off @param {string[]} keys of all lines @param {string} key @param {boolean} hide
 * @returns {Set<string>}
 */
export function switched(off, keys, key, hide) {
  const next = new Set(off);
  if (hide) {
    if (!next.delete(key)) next.add(key);
  } else {
    const already = !off.has(key) && keys.every((one) => one === key || off.has(one));
    next.clear();
    if (!already) for (const one of keys) if (one !== key) next.add(one);
  }
  return keys.every((one) => next.has(one)) ? new Set() : next;
}
