// Whether the server runs another version of this page. Nothing is loaded again by itself.
import { effect, signal } from "../vendor/signals.js";
import { call } from "./api.js";
import { generation } from "./connection.js";

/** A newer page is there: the reader decides when to load it. */
export const upgraded = signal(false);

/** The version of this program: a part of its address. */
const MINE = /\/ui\/([0-9a-f]+)\//.exec(import.meta.url)?.[1];

let known = generation.value;
effect(() => {
  // A server that was away may have come back as another version.
  if (generation.value === known) return;
  known = generation.value;
  void look();
});

/** Asks the server. */
export async function look() {
  try {
    const { page } = await call("server.page");
    upgraded.value = Boolean(MINE && page && page !== MINE);
  } catch {
    // asked again when the connection is back the next time
  }
}
