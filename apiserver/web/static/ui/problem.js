// An error of one part of the page: message, call id, "Try again". The other parts keep working.
import { ApiError } from "../core/api.js";
import { button, code, div, p } from "./html.js";
import { icon } from "./icons.js";
import { copyText } from "./toast.js";

/**
 * The message for an error.
 * @param {Error} error
 */
export function sentence(error) {
  if (error instanceof ApiError) return error.status === 403 && /server\.hosts/.test(error.message) ? `${error.message} (config/server.conf)` : error.message;
  if (error instanceof TypeError && /fetch|network/i.test(error.message)) return "The server does not answer.";
  if (/dynamically imported module|module script/i.test(error.message)) return "Tidemark was updated. Reload the page to use the new version.";
  return error.message || String(error);
}

/**
 * @param {{error: Error, again?: () => void, title?: string}} props
 */
export function Problem({ error, again, title }) {
  const callId = error instanceof ApiError ? error.callId : "";
  const reload = /new version/.test(sentence(error));
  return div(
    { class: "problem", role: "alert" },
    title && p({ class: "problem-title" }, title),
    p(icon("warning"), " ", sentence(error)),
    callId &&
      p(
        { class: "muted" },
        "call ",
        code(callId.slice(0, 8)),
        " ",
        button({ type: "button", class: "link", onClick: () => void copyText(callId, "call id") }, "copy"),
      ),
    reload
      ? button({ type: "button", class: "button primary", onClick: () => window.location.reload() }, "Reload")
      : again && button({ type: "button", class: "button", onClick: again }, "Try again"),
  );
}
