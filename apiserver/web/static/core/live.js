// Live updates: one WebSocket per tab for all that it shows. Without a socket the page polls every few seconds and says so.
import { effect, signal } from "../vendor/signals.js";
import { call } from "./api.js";
import { generation, offline, tryNow } from "./connection.js";

/** @typedef {{id: string, status: string, last_iteration: number | null, last_update: string | number | null, last_change: string | number | null}} RunState */
/**
 * @typedef {object} News
 * @property {Map<string, string[]>} events  types of events that arrived, by run; ["*"]: it is not known which
 * @property {RunState[]} runs    runs as they are now
 * @property {string[]} gone      runs that were deleted or never existed
 * @property {string | null} [newest]  the run that was created last
 * @property {boolean} lost       messages may be missing: read again from the last known state
 */
/** @typedef {{runs: string[], newest: boolean, hear: (news: News) => void}} Watch */

const POLL_MS = 5_000;
/** A tab that is hidden for this long closes its socket; when it is shown again it reads once. */
const HIDDEN_MS = 3_000;
const FIRST_WAIT = 300;
const LONGEST_WAIT = 30_000;
/** Sockets that end sooner count as failures. */
const STEADY_MS = 5_000;
const MOST_RUNS = 1_000;
const MOST_BYTES = 60_000;
const FIELDS = ["status", "last_iteration", "last_update", "last_change"];

/** "off": nothing is watched; "live": connected; "polling": no socket; "waiting": not decided yet. @type {import("../vendor/signals.js").Signal<string>} */
export const liveState = signal("off");

/** @type {Set<Watch>} */
const watches = new Set();
/** @type {WebSocket | null} */
let socket = null;
let openedAt = 0;
/** Whether the socket was interrupted, so that messages may be missing. */
let interrupted = false;
let failures = 0;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let retry;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let hiding;
/** @type {ReturnType<typeof setInterval> | undefined} */
let polling;
/** Runs that the socket sends nothing about: public ones of other companies. @type {Set<string>} */
let unheard = new Set();
/** What polling saw last. @type {Map<string, string>} */
const seen = new Map();
let asking = false;
let telling = false;
let sent = "";

/**
 * Calls `hear` for changes of runs until `stop` is called; `want` sets which runs.
 * @param {(news: News) => void} hear
 * @returns {{want: (runs: string[], newest?: boolean) => void, stop: () => void}}
 */
export function watch(hear) {
  /** @type {Watch} */
  const mine = { runs: [], newest: false, hear };
  return {
    want: (runs, newest = false) => {
      mine.runs = runs;
      mine.newest = newest;
      watches.add(mine);
      changed();
    },
    stop: () => {
      watches.delete(mine);
      changed();
    },
  };
}

/** The wanted runs have changed: tell the server once the views have settled. */
function changed() {
  if (telling) return;
  telling = true;
  setTimeout(() => {
    telling = false;
    if (!watches.size) close();
    else if (!socket && !retry && !document.hidden) connect();
    else tell();
    poll();
  }, 20);
}

/** @returns {string[]} */
function wanted() {
  return [...new Set([...watches].flatMap((one) => one.runs))].slice(0, MOST_RUNS);
}

function tell() {
  if (socket?.readyState !== WebSocket.OPEN) return;
  const runs = wanted();
  const newest = [...watches].some((one) => one.newest);
  let text = JSON.stringify({ want: { runs, newest } });
  while (text.length > MOST_BYTES) {
    runs.length -= Math.ceil(runs.length / 10);
    text = JSON.stringify({ want: { runs, newest } });
  }
  if (text === sent) return;
  sent = text;
  unheard = new Set();
  socket.send(text);
}

function connect() {
  clearTimeout(retry);
  retry = undefined;
  if (liveState.value === "off") liveState.value = "waiting";
  const address = new URL("/api/live", window.location.href);
  address.protocol = address.protocol === "https:" ? "wss:" : "ws:";
  const mine = new WebSocket(address);
  socket = mine;
  sent = "";
  mine.onopen = () => {
    openedAt = performance.now();
    tell();
  };
  mine.onmessage = (event) => {
    // A server that refuses closes at once; the first frame shows that it has accepted.
    if (liveState.value !== "live") {
      liveState.value = "live";
      if (interrupted) lostTrack();
      interrupted = true;
      poll();
    }
    received(JSON.parse(event.data));
  };
  mine.onclose = () => socket === mine && void ended();
}

async function ended() {
  socket = null;
  if (!watches.size || document.hidden) return;
  failures = openedAt && performance.now() - openedAt > STEADY_MS ? 1 : failures + 1;
  openedAt = 0;
  if (liveState.value === "live") liveState.value = "waiting";
  const wait = Math.min(FIRST_WAIT * 2 ** (failures - 1), LONGEST_WAIT) * (0.75 + Math.random() / 2);
  clearTimeout(retry);
  retry = setTimeout(connect, wait);
  await tryNow();
  if (offline.value) {
    // The server does not answer: reconnect when it is back.
    clearTimeout(retry);
    retry = undefined;
    failures = 0;
  } else if (failures >= 2 && liveState.value !== "live") {
    liveState.value = "polling";
    poll();
  }
}

function close() {
  clearTimeout(retry);
  retry = undefined;
  const old = socket;
  socket = null;
  openedAt = 0;
  failures = 0;
  interrupted = false;
  liveState.value = "off";
  old?.close();
}

/** @param {any} frame */
function received(frame) {
  if (frame.error) console.warn(`live socket: ${frame.error}`);
  else if (frame.lost) lostTrack();
  else if (frame.unknown) {
    unheard = new Set(frame.unknown);
    poll();
  } else if (frame.events) tellViews({ events: new Map(frame.events.map((/** @type {any} */ one) => [one.task, one.types])) });
  else if (frame.runs) tellViews({ runs: frame.runs });
  else if ("newest" in frame) tellViews({ newest: frame.newest });
}

function lostTrack() {
  tellViews({ lost: true });
}

/** @param {Partial<News>} news */
function tellViews({ events = new Map(), runs = [], gone = [], newest, lost = false }) {
  for (const one of [...watches]) {
    const ids = new Set(one.runs);
    const mine = {
      events: new Map([...events].filter(([id]) => ids.has(id))),
      runs: runs.filter((run) => ids.has(run.id)),
      gone: gone.filter((id) => ids.has(id)),
      newest: one.newest ? newest : undefined,
      lost,
    };
    if (mine.events.size || mine.runs.length || mine.gone.length || mine.newest !== undefined || lost) one.hear(mine);
  }
}

/** Starts or stops polling. */
function poll() {
  const needed = watches.size > 0 && (liveState.value === "polling" || unheard.size > 0);
  if (needed && !polling) {
    polling = setInterval(ask, POLL_MS);
    void ask();
  } else if (!needed) {
    clearInterval(polling);
    polling = undefined;
    seen.clear();
  }
}

async function ask() {
  if (asking || document.hidden || offline.value) return;
  asking = true;
  const without = liveState.value !== "live";
  const ids = without ? wanted() : [...unheard];
  try {
    const { tasks } = ids.length ? await call("tasks.get_by_id_ex", { id: ids, only_fields: FIELDS }) : { tasks: [] };
    const fresh = tasks.filter((/** @type {RunState} */ run) => seen.get(run.id) !== `${run.last_change} ${run.status}`);
    const known = fresh.filter((/** @type {RunState} */ run) => seen.has(run.id));
    for (const run of fresh) seen.set(run.id, `${run.last_change} ${run.status}`);
    const there = new Set(tasks.map((/** @type {RunState} */ run) => run.id));
    tellViews({ events: new Map(known.map((/** @type {RunState} */ run) => [run.id, ["*"]])), runs: fresh, gone: ids.filter((id) => !there.has(id)) });
    if (without && [...watches].some((one) => one.newest)) {
      const [newest] = (await call("tasks.get_all_ex", { order_by: ["-created"], page: 0, page_size: 1, only_fields: ["id"] })).tasks;
      tellViews({ newest: newest?.id ?? null });
    }
  } catch {
    // polled again soon; a lost connection has its own message
  } finally {
    asking = false;
  }
}

document.addEventListener("visibilitychange", () => {
  clearTimeout(hiding);
  if (document.hidden) {
    hiding = setTimeout(() => {
      const old = socket;
      socket = null;
      clearTimeout(retry);
      retry = undefined;
      if (liveState.value === "live") liveState.value = "waiting";
      old?.close();
    }, HIDDEN_MS);
  } else if (watches.size && !socket) {
    connect();
    if (polling) void ask();
  }
});

// The server is back.
let known = generation.value;
effect(() => {
  if (generation.value === known) return;
  known = generation.value;
  if (watches.size && !socket && !document.hidden) connect();
});
