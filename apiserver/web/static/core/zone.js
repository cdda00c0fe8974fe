// Whether times are shown in UTC: a preference of the reader.
import { effect } from "../vendor/signals.js";
import { showUtc } from "./format.js";
import { preference, setPreference } from "./prefs.js";

export const utc = preference("utc", false);
effect(() => showUtc(utc.value === true));

export const toggleUtc = () => setPreference("utc", !utc.value);
