// Work that is asked for again and again: one run at a time, and never more than a part of the time.

/** A run may take this part of the time. */
const SHARE = 1 / 4;

/**
 * A function that asks for a run of `work`. What is asked during a run is done once after it. Runs begin at the earliest `least` ms after each other, and
 * after a pause that is three times as long as the last run.
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
