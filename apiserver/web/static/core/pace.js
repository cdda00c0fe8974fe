// Rate-limits repeated work: one run at a time, and never more than a share of the time.

/** The share of time that runs may take. */
const SHARE = 1 / 4;

/**
 * Returns a function that requests a run of `work`. Requests during a run are merged into one run after it. Between the starts of two runs are at least
 * `least` ms, and the pause after a run is three times its duration.
 * @param {() => Promise<unknown>} work must not throw
 * @param {number} least
 * @returns {{ask: () => void, stop: () => void}}
 */
export function paced(work, least) {
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  let running = false;
  let wanted = false;
  let stopped = false;
  let free = -Infinity;
  const run = async () => {
    timer = undefined;
    running = true;
    wanted = false;
    const start = performance.now();
    await work();
    const took = performance.now() - start;
    free = start + Math.max(least, took / SHARE);
    running = false;
    if (wanted) ask();
  };
  const ask = () => {
    if (stopped) return;
    if (running) wanted = true;
    else timer ??= setTimeout(run, Math.max(0, free - performance.now()));
  };
  return {
    ask,
    stop: () => {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
