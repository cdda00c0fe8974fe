// Detects that the server has another version of this page. The page never reloads by itself.
import { effect, signal } from "../vendor/signals.js";
import { call } from "./api.js";
import { generation } from "./connection.js";

/** A new version is available; the user decides when to reload. */
export const upgraded = signal(false);

/** The version of these modules, from their URL. */
const MINE = /\/ui\/([0-9a-f]+)\//.exec(import.meta.url)?.[1];

let known = generation.value;
effect(() => {
  // After an outage the server may have another version.
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
