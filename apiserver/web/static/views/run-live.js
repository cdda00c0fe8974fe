// A number that rises whenever something arrived for a run.
import { useEffect, useRef, useState } from "../vendor/hooks.js";
import { call } from "../core/api.js";
import { usePolling } from "../ui/hooks.js";

const RUNNING_MS = 2_000;
const ENDED_MS = 15_000;

/**
 * @param {string} id
 * @param {boolean} running
 * @param {string} known what the caller has read: time of the last change and status; "": nothing yet
 * @param {() => void} changed called when the run itself has to be read again
 */
export function useChanges(id, running, known, changed) {
  const [revision, setRevision] = useState(0);
  const last = useRef("");
  useEffect(() => {
    last.current = "";
  }, [id]);
  // What arrives between that reading and the first look here counts too.
  if (!last.current) last.current = known;
  usePolling(
    () => {
      call("tasks.get_by_id_ex", { id: [id], only_fields: ["last_change", "status"] }).then(
        ({ tasks }) => {
          const now = tasks[0] ? `${tasks[0].last_change} ${tasks[0].status}` : "deleted";
          if (last.current && now !== last.current) {
            setRevision((n) => n + 1);
            changed();
          }
          last.current = now;
        },
        () => undefined, // the bar about the lost connection says it
      );
    },
    running ? RUNNING_MS : ENDED_MS,
  );
  return revision;
}
