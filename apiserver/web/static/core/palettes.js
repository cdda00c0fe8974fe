// Which colour and dash a run or a series gets; knows no document.

export const LIGHT = ["#0035d1", "#f2621b", "#40236f", "#bd82a3", "#6b1103", "#5280fb", "#855785", "#ad3514"];
export const DARK = ["#29b6ad", "#f6c100", "#01868b", "#ea7d37", "#b75402", "#50defd", "#903fe3", "#d0f2b7"];

const DASHES = [[], [6, 3], [2, 3], [8, 3, 2, 3]];

/** Dash pattern of a pick: the first eight are solid. @param {number} pick @returns {number[]} */
export function dashOf(pick) {
  return pick >= 32 ? [] : DASHES[Math.floor(pick / 8) % DASHES.length];
}

/** Where the search for a free colour begins: the same id always begins at the same colour. @param {string} id */
export function colorIndex(id) {
  let hash = 2166136261;
  for (let i = 0; i < id.length; i++) hash = Math.imul(hash ^ id.charCodeAt(i), 16777619);
  return (hash >>> 0) % 8;
}

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
      const start = colorIndex(id);
      let pick = -1;
      for (let round = 0; round < 4 && pick < 0; round++) {
        for (let step = 0; step < 8 && pick < 0; step++) {
          const candidate = round * 8 + ((start + step) % 8);
          if (!used.has(candidate)) pick = candidate;
        }
      }
      if (pick < 0) pick = 32;
      used.add(pick);
      for (const [other, taken] of this.known) if (taken === pick && !shown.has(other)) this.known.delete(other);
      this.known.set(id, pick);
    }
    return new Map(ids.map((id) => [id, /** @type {number} */ (this.known.get(id))]));
  }
}
