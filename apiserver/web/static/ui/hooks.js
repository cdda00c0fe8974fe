// Hooks: signals in components, calls, keys, titles.
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "../vendor/hooks.js";
import { effect } from "../vendor/signals.js";
import { generation } from "../core/connection.js";
import { addKeys } from "../core/keys.js";
import { paced } from "../core/pace.js";
import { addReading, onLeave, place, setParams } from "../core/url.js";

const RETRY_MS = 2_000;

/** Default exports of loaded modules, by their load function. @type {Map<() => Promise<{default: any}>, any>} */
const components = new Map();

/**
 * The component of a module that is loaded on first use. A module that arrives after the view has changed is kept for later.
 * @param {(() => Promise<{default: any}>) | undefined} load
 * @returns {{component: any, failure: Error | null}}
 */
export function useComponent(load) {
  const [, again] = useState(0);
  const [failure, setFailure] = useState(/** @type {Error | null} */ (null));
  useLayoutEffect(() => {
    setFailure(null);
    if (!load || components.has(load)) return undefined;
    let shown = true;
    load().then(
      (module) => {
        components.set(load, module.default);
        if (shown) again((n) => n + 1);
      },
      (error) => shown && setFailure(error),
    );
    return () => {
      shown = false;
    };
  }, [load]);
  return { component: load && components.get(load), failure };
}

/**
 * The value of a signal; the component is rendered again when it changes.
 * @template T
 * @param {{readonly value: T}} signal
 * @returns {T}
 */
export function useSignal(signal) {
  const [, again] = useState(0);
  useLayoutEffect(() => {
    let first = true;
    return effect(() => {
      void signal.value;
      if (first) first = false;
      else again((n) => n + 1);
    });
  }, [signal]);
  return signal.value;
}

/**
 * @template T
 * @typedef {{data: T | undefined, error: Error | null, loading: boolean, again: () => void}} Called
 */

/**
 * Runs `work` when `deps` change, when the connection is back, and on `again()`. Old data stay until new ones arrive; a newer run aborts the older. `work`
 * returns null when there is nothing to do.
 * @template T
 * @param {(signal: AbortSignal) => Promise<T> | null} work
 * @param {unknown[]} deps
 * @returns {Called<T>}
 */
export function useCall(work, deps) {
  const [state, setState] = useState(/** @type {{data: T | undefined, error: Error | null, loading: boolean}} */ ({ data: undefined, error: null, loading: true }));
  const [round, setRound] = useState(0);
  const connected = useSignal(generation);
  // A layout effect, so that the call is sent before the browser paints.
  useLayoutEffect(() => {
    const control = new AbortController();
    const promise = work(control.signal);
    if (promise === null) {
      setState((old) => ({ ...old, loading: false }));
      return undefined;
    }
    setState((old) => (old.loading ? old : { ...old, loading: true }));
    promise.then(
      (data) => control.signal.aborted || setState({ data, error: null, loading: false }),
      (error) => control.signal.aborted || setState((old) => ({ data: old.data, error, loading: false })),
    );
    return () => control.abort();
  }, [...deps, round, connected]);
  const again = useMemo(() => () => setRound((n) => n + 1), []);
  return { ...state, again };
}

/**
 * Adds keys to the keyboard map while the component is shown. `keys` may close over fresh state.
 * @param {string} title
 * @param {import("../core/keys.js").Key[]} keys
 */
export function useKeys(title, keys) {
  const latest = useRef(keys);
  latest.current = keys;
  const shape = keys.map((key) => `${key.keys}:${key.does}`).join("\n");
  useEffect(
    () =>
      addKeys(
        title,
        latest.current.map((key, index) => ({
          ...key,
          run: (event) => latest.current[index]?.run(event),
          when: () => latest.current[index]?.when?.() ?? true,
        })),
      ),
    [title, shape],
  );
}

/**
 * Adds to copied links what a view knows of itself at that moment. `read` may close over fresh state.
 * @param {import("../core/url.js").Reading} read
 */
export function useMoving(read) {
  useReading(read, false);
}

/** What a reader moves with: any of these ends what an address has asked for. */
const MOVES = ["wheel", "touchmove", "pointerdown", "keydown"];

/**
 * Where the reader is, in parameters of the address: a link, Back, and a tab that is opened again lead there, once. They leave the address as soon as the reader
 * moves: nothing is gone to twice. `read` may close over fresh state.
 * @param {string[]} names of the parameters
 * @param {import("../core/url.js").Reading} read
 */
export function usePosition(names, read) {
  const { params } = useSignal(place);
  useReading(read, true);
  const given = names.some((name) => params.has(name));
  useEffect(() => {
    if (!given) return undefined;
    const moved = (/** @type {any} */ event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || /^(Shift|F\d+)$/.test(event.key ?? "")) return; // keys of the browser, such as those that load again
      setParams(Object.fromEntries(names.map((name) => [name, ""])));
    };
    for (const kind of MOVES) addEventListener(kind, moved, { capture: true, passive: true });
    return () => {
      for (const kind of MOVES) removeEventListener(kind, moved, { capture: true });
    };
  }, [given]);
}

/** @param {import("../core/url.js").Reading} read @param {boolean} position */
function useReading(read, position) {
  const latest = useRef(read);
  latest.current = read;
  useEffect(() => addReading(() => latest.current(), { position }), []);
}

/**
 * Hears of the view's parameters, with where its reader is, when the view is left.
 * @param {(params: URLSearchParams) => void} hear may close over fresh state
 */
export function useLeave(hear) {
  const latest = useRef(hear);
  latest.current = hear;
  useEffect(() => onLeave((params) => latest.current(params)), []);
}

/**
 * The title of the window while the component is shown.
 * @param {string} title
 */
export function useTitle(title) {
  useEffect(() => {
    document.title = title ? `${title} · Tidemark` : "Tidemark";
  }, [title]);
}

/**
 * Calls `run` every `ms` while the tab is visible, and once when it becomes visible again. `ms` 0: never.
 * @param {() => void} run
 * @param {number} ms
 */
export function usePolling(run, ms) {
  const latest = useRef(run);
  latest.current = run;
  useEffect(() => {
    if (!ms) return undefined;
    const timer = setInterval(() => document.hidden || latest.current(), ms);
    const shown = () => document.hidden || latest.current();
    document.addEventListener("visibilitychange", shown);
    return () => {
      clearInterval(timer);
      document.removeEventListener("visibilitychange", shown);
    };
  }, [ms]);
}

/**
 * The value once it has not changed for `ms`; 0: at once.
 * @template T
 * @param {T} value
 * @param {number} ms
 * @returns {T}
 */
export function useDebounced(value, ms) {
  const [shown, setShown] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setShown(value), ms);
    return () => clearTimeout(timer);
  }, [value, ms]);
  return ms ? shown : value;
}

/**
 * The value, updated at once and then at most every `ms`; the last value always arrives.
 * @template T
 * @param {T} value
 * @param {number} ms
 * @returns {T}
 */
export function useThrottled(value, ms) {
  const [shown, setShown] = useState(value);
  const due = useRef(0);
  useEffect(() => {
    if (Object.is(shown, value)) return undefined;
    const follow = () => {
      due.current = performance.now() + ms;
      setShown(value);
    };
    const timer = setTimeout(follow, Math.max(0, due.current - performance.now()));
    return () => clearTimeout(timer);
  }, [value, shown, ms]);
  return ms ? shown : value;
}

/**
 * A function that requests a run of `work` (core/pace.js). A failed run is repeated after two seconds.
 * @param {() => Promise<unknown>} work may close over fresh state
 * @param {number} least ms between two runs
 * @returns {() => void}
 */
export function usePaced(work, least) {
  const latest = useRef(work);
  latest.current = work;
  const pace = useMemo(() => {
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    let timer;
    const one = paced(async () => {
      try {
        await latest.current();
      } catch {
        clearTimeout(timer); // the view keeps its data
        timer = setTimeout(one.ask, RETRY_MS);
      }
    }, least);
    return { ask: one.ask, stop: () => (clearTimeout(timer), one.stop()) };
  }, [least]);
  useEffect(() => pace.stop, [pace]);
  return pace.ask;
}

/**
 * The keyboard stays in an element that covers the page; afterwards it is where it was. Messages of the page stay within reach.
 * @param {{current: HTMLElement | null}} root
 */
export function useModal(root) {
  useEffect(() => {
    const back = /** @type {HTMLElement | null} */ (document.activeElement);
    /** @type {HTMLElement[]} */
    const beside = [];
    for (let inside = root.current; inside && inside !== document.body; inside = inside.parentElement) {
      for (const one of /** @type {Iterable<any>} */ (inside.parentElement?.children ?? [])) {
        if (one !== inside && !one.inert && !one.matches(".toasts")) beside.push(one);
      }
    }
    for (const one of beside) one.inert = true;
    root.current?.focus();
    return () => {
      for (const one of beside) one.inert = false;
      back?.focus?.();
    };
  }, []);
}
