// Whether the server answers; if not, since when, and when the next attempt is.
import { signal } from "../vendor/signals.js";

const FIRST_WAIT = 1_000;
const LONGEST_WAIT = 15_000;

/** `null` while connected; else times in ms since the epoch. @type {import("../vendor/signals.js").Signal<{since: number, next: number} | null>} */
export const offline = signal(null);

/** Incremented when the server is back: views read again. */
export const generation = signal(0);

let wait = FIRST_WAIT;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

/** A call got no answer. */
export function lost() {
  const now = Date.now();
  if (offline.value && offline.value.next > now) return;
  offline.value = { since: offline.value?.since ?? now, next: now + wait };
  clearTimeout(timer);
  timer = setTimeout(tryNow, wait);
  wait = Math.min(wait * 2, LONGEST_WAIT);
}

/** A call was answered, whatever the answer. */
export function reached() {
  if (!offline.value) return;
  clearTimeout(timer);
  wait = FIRST_WAIT;
  offline.value = null;
  generation.value += 1;
}

/** Pings the server. */
export async function tryNow() {
  clearTimeout(timer);
  if (offline.value) offline.value = { ...offline.value, next: 0 };
  try {
    await fetch("/debug.ping", { signal: AbortSignal.timeout(5_000), cache: "no-store" });
  } catch {
    lost();
    return;
  }
  reached();
}

addEventListener("online", () => void (offline.value && tryNow()));
