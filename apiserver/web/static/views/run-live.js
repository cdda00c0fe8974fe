// Live updates of shown runs: revisions by event type, and the runs' states.
import { useEffect, useRef, useState } from "../vendor/hooks.js";
import { watch } from "../core/live.js";
import { ms } from "../core/format.js";
import { usePaced } from "../ui/hooks.js";

/** @typedef {import("../core/live.js").RunState} RunState */
/** @typedef {{all: number, types: Record<string, number>, states: Map<string, RunState>}} Live */

/** Runs are read again at most this often: names and tags change without events. */
const READ_MS = 5_000;

/**
 * @param {string[]} ids
 * @param {any[] | undefined} runs as they were read; undefined: not yet
 * @param {() => void} again reads the runs again
 * @returns {{revisionOf: (types: string[] | null) => number, states: Map<string, RunState>}} `revisionOf(null)`: of everything
 */
export function useLiveRuns(ids, runs, again) {
  const [live, setLive] = useState(/** @type {Live} */ ({ all: 0, types: {}, states: new Map() }));
  const known = useRef(/** @type {Map<string, any>} */ (new Map()));
  const heard = useRef(/** @type {Set<string>} */ (new Set()));
  const readLater = usePaced(async () => again(), READ_MS);
  const read = useRef(again);
  read.current = again;
  // Events between this read and the first live state must count too.
  for (const run of runs ?? []) if (!known.current.has(run.id)) known.current.set(run.id, run);
  const there = Boolean(runs);
  useEffect(() => {
    if (!there) return undefined;
    const mine = watch(({ events, runs: states, gone, lost }) => {
      const types = new Set([...events.values()].flat());
      for (const id of events.keys()) heard.current.add(id);
      let all = types.delete("*") || lost;
      let now = gone.length > 0 || lost;
      let later = false;
      if (lost) known.current.clear(); // the next read is as new as the next states
      for (const state of states) {
        const before = known.current.get(state.id);
        known.current.set(state.id, state);
        const was = heard.current.delete(state.id);
        if (!before || (ms(before.last_change) === ms(state.last_change) && before.status === state.status)) continue;
        if (!was) all = true;
        if (before.status !== state.status) now = true;
        else later = true;
      }
      setLive((old) => ({
        all: old.all + (all ? 1 : 0),
        types: raised(old.types, types),
        states: states.length ? new Map([...old.states, .../** @type {[string, RunState][]} */ (states.map((state) => [state.id, state]))]) : old.states,
      }));
      if (now) read.current();
      else if (later) readLater();
    });
    mine.want(ids);
    return mine.stop;
  }, [ids.join("\n"), there]);
  return {
    revisionOf: (types) => live.all + (types ?? Object.keys(live.types)).reduce((sum, type) => sum + (live.types[type] ?? 0), 0),
    states: live.states,
  };
}

/**
 * A run with its newest state.
 * @template {Record<string, any> | null | undefined} T
 * @param {T} run @param {RunState | undefined} state
 * @returns {T}
 */
export function withState(run, state) {
  return run && state && ms(state.last_change) >= ms(run.last_change) ? { ...run, ...state } : run;
}

/** @param {Record<string, number>} counts @param {Set<string>} types */
function raised(counts, types) {
  if (!types.size) return counts;
  const next = { ...counts };
  for (const type of types) next[type] = (next[type] ?? 0) + 1;
  return next;
}
