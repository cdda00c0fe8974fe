// Curves of the table's rows: one call for all rows that come into view, and again when their runs report.
import { useEffect, useLayoutEffect, useMemo, useRef } from "../vendor/hooks.js";
import { signal } from "../vendor/signals.js";
import { ahead } from "../core/first.js";
import { thumbKey, thumbnails, thumbnailsCall } from "../core/thumbnails.js";
import { usePaced } from "../ui/hooks.js";

/** Least ms between reads of runs that report. */
const AGAIN_MS = 5_000;
/** Rows get their curves after being in view for this long. */
const SETTLED_MS = 60;

/** By `thumbKey`; null: the run has none. @typedef {Map<string, import("../core/thumbnails.js").Thumb | null>} Curves */
/** @typedef {{metric: string, variant: string}} Series */

/**
 * @param {string[]} ids runs in view @param {Series[]} series
 * @param {{current: Set<string>}} dirty runs with new events @param {number} version changes with the rows
 * @param {{onFirst: (ids: string[]) => void, onRead: () => void}} hear before the first call; after every answer
 * @returns {import("../vendor/signals.js").Signal<Curves>}
 */
export function useCurves(ids, series, dirty, version, { onFirst, onRead }) {
  const curves = useMemo(() => signal(/** @type {Curves} */ (new Map())), []);
  const control = useMemo(() => new AbortController(), []);
  useEffect(() => () => control.abort(), []);
  const asked = useRef(/** @type {Set<string>} */ (new Set()));
  const keysOf = (/** @type {string[]} */ some) => some.flatMap((id) => series.map((one) => thumbKey(id, one.metric, one.variant)));
  const missing = ids.filter((id) => keysOf([id]).some((key) => !curves.value.has(key) && !asked.current.has(key)));
  const read = async (/** @type {string[]} */ wanted) => {
    const keys = keysOf(wanted);
    for (const key of keys) asked.current.add(key);
    try {
      const found = await thumbnails(wanted, series, control.signal);
      curves.value = new Map([...curves.value, .../** @type {[string, null][]} */ (keys.map((key) => [key, null])), ...found]);
    } finally {
      for (const key of keys) asked.current.delete(key);
    }
    onRead();
  };
  const readQuietly = (/** @type {string[]} */ wanted) => void read(wanted).catch(() => undefined); // the table works without curves

  // The first call leaves before the rows are rendered, which takes as long as the answer.
  const isFirst = useRef(true);
  if (isFirst.current && missing.length) {
    isFirst.current = false;
    ahead(thumbnailsCall(missing, series));
  }
  useLayoutEffect(() => {
    if (!missing.length) return undefined;
    if (!curves.value.size && !asked.current.size) {
      onFirst(missing);
      readQuietly(missing);
      return undefined;
    }
    const timer = setTimeout(() => readQuietly(missing), SETTLED_MS);
    return () => clearTimeout(timer);
  }, [missing.join(",")]);

  const again = usePaced(async () => {
    const fresh = ids.filter((id) => dirty.current.delete(id));
    if (fresh.length && series.length) await read(fresh);
  }, AGAIN_MS);
  useEffect(() => {
    if (dirty.current.size) again();
  }, [version]);
  return curves;
}
