// Colours of runs: a run keeps its colour in the table, in charts and in comparisons, as long as the tab is open.
import { signal } from "../vendor/signals.js";
import { Picks } from "./colors.js";

export const picks = new Picks();

/** Runs whose curves are hidden. @type {import("../vendor/signals.js").Signal<Set<string>>} */
export const hiddenRuns = signal(new Set());

/** @param {string} id */
export function toggleHidden(id) {
  const next = new Set(hiddenRuns.value);
  if (!next.delete(id)) next.add(id);
  hiddenRuns.value = next;
}
