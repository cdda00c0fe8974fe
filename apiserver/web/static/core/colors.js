// Colours of runs and series: two palettes whose colours differ under normal, protan, deutan and tritan vision (docs/page.md, "Colours").
import { theme } from "./theme.js";
import { DARK, LIGHT } from "./palettes.js";

export { colorIndex, dashOf, Picks } from "./palettes.js";

/**
 * The colour of a pick in the present theme; grey from 32 on.
 * @param {number} pick
 */
export function color(pick) {
  const palette = theme.value === "dark" ? DARK : LIGHT;
  if (pick >= 32) return theme.value === "dark" ? "#8a949e" : "#6b7580";
  return palette[pick % palette.length];
}

/**
 * A colour with transparency: `alpha("#0035d1", 0.15)`.
 * @param {string} hex
 * @param {number} opacity 0 to 1
 */
export function alpha(hex, opacity) {
  return hex + Math.round(opacity * 255).toString(16).padStart(2, "0");
}
