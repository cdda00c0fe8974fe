// The status in a run's head: icon, word, and time of the last report.
import { useReducer, useRef } from "../vendor/hooks.js";
import { ago, ms, stampWithZone } from "../core/format.js";
import { span } from "../ui/html.js";
import { usePolling } from "../ui/hooks.js";
import { icon } from "../ui/icons.js";
import { statusLook } from "../ui/status.js";

/** A run is silent when it said nothing for three of its usual intervals, but at least for the first; the second is taken until some intervals were seen. */
const LEAST_MS = 30_000;
const SILENT_MS = 120_000;
const KNOWN = 3;
const KEPT = 9;
/** What was said so long ago is told anew so often, also when nothing more is said. */
const TELL_MS = 10_000;

/** @param {{run: any}} props */
export function RunStatus({ run }) {
  const [, again] = useReducer((n) => n + 1, 0);
  usePolling(() => again(0), run.status === "in_progress" ? TELL_MS : 0);
  const [name, word, kind] = statusLook(run.status);
  const last = ms(run.last_update);
  const silent = useSilence(last);
  const said = run.status !== "in_progress" || Number.isNaN(last) ? "" : Date.now() - last > silent ? `, silent for ${ago(last).replace(" ago", "")}` : `, last report ${ago(last)}`;
  const since = ms(run.status_changed);
  const reason = run.status_message || run.status_reason;
  return span(
    { class: `status ${kind}`, title: [Number.isNaN(since) ? "" : `since ${stampWithZone(since)}`, reason].filter(Boolean).join("\n") },
    icon(name),
    span(word, said && span({ class: "wide-only said" }, said)),
  );
}

/** After how many ms a run is silent, by how often it has reported since it is shown. @param {number} last time of its last report */
function useSilence(last) {
  const heard = useRef({ last: NaN, gaps: /** @type {number[]} */ ([]) });
  const { current } = heard;
  if (last > current.last) current.gaps = [...current.gaps, last - current.last].slice(-KEPT);
  current.last = last;
  const usual = [...current.gaps].sort((one, other) => one - other)[Math.floor(current.gaps.length / 2)];
  return current.gaps.length < KNOWN ? SILENT_MS : Math.max(LEAST_MS, 3 * usual);
}
