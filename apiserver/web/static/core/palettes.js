// Assigns colours and dashes to runs and series. Pure: does not touch the document.

export const LIGHT = ["#0035d1", "#f2621b", "#40236f", "#bd82a3", "#6b1103", "#5280fb", "#855785", "#ad3514"];
export const DARK = ["#29b6ad", "#f6c100", "#01868b", "#ea7d37", "#b75402", "#50defd", "#903fe3", "#d0f2b7"];

const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3]];

/** Dash pattern of a pick: the first eight are solid. @param {number} pick @returns {number[]} */
export function dashOf(pick) {
  return pick >= 32 ? [] : DASHES[Math.floor(pick / 8) % DASHES.length];
}

/** The preferred colour of an id, always the same. @param {string} id */
export function colorIndex(id) {
  let hash = 2166136261;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 16777619);
  return (hash >>> 0) % 8;
}

/** A colour in OKLab, where distances match perceived differences. @param {string} hex @returns {number[]} */
function oklab(hex) {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const c = parseInt(hex.slice(at, at + 2), 16) / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s, 1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s, 0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s];
}

/** Distance of two picks' colours, in the theme in which they are closer. @type {number[][]} */
const DISTANCES = LIGHT.map((_, i) =>
  LIGHT.map((__, j) => Math.min(...[LIGHT, DARK].map((palette) => Math.hypot(...oklab(palette[i]).map((part, k) => part - oklab(palette[j])[k]))))),
);

/** Picks of ids that are shown together: no two share one, and an id keeps its pick as long as the object lives. */
export class Picks {
  constructor() {
    /** @type {Map<string, number>} */
    this.known = new Map();
  }

  /**
   * Picks for `ids`; ids that are no longer shown give theirs up only when another needs it.
   * @param {string[]} ids
   * @returns {Map<string, number>}
   */
  of(ids) {
    const shown = new Set(ids);
    const used = new Set([...this.known].filter(([id]) => shown.has(id)).map(([, pick]) => pick));
    for (const id of ids) {
      if (this.known.has(id)) continue;
      const pick = freePick(used, colorIndex(id));
      used.add(pick);
      for (const [other, taken] of this.known) if (taken === pick && !shown.has(other)) this.known.delete(other);
      this.known.set(id, pick);
    }
    return new Map(ids.map((id) => [id, /** @type {number} */ (this.known.get(id))]));
  }
}

/**
 * The preferred colour for the first id; for each further one the free colour that differs most from those in use. The next dash begins after eight colours.
 * @param {Set<number>} used
 * @param {number} start
 */
function freePick(used, start) {
  for (let round = 0; round < 4; round++) {
    const taken = [...used].filter((pick) => Math.floor(pick / 8) === round).map((pick) => pick % 8);
    if (taken.length >= 8) continue;
    const free = [0, 1, 2, 3, 4, 5, 6, 7].map((step) => (start + step) % 8).filter((one) => !taken.includes(one));
    const distance = (/** @type {number} */ one) => Math.min(Infinity, ...taken.map((other) => DISTANCES[one][other]));
    return round * 8 + free.reduce((best, one) => (distance(one) > distance(best) ? one : best));
  }
  return 32;
}
