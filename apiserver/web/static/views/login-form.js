// The log-in form: a view, and a dialog when a session has ended.
import { useState } from "../vendor/hooks.js";
import { login } from "../core/api.js";
import { sentence } from "../ui/problem.js";
import { button, code, form, input, label, p, span } from "../ui/html.js";

/** @param {{onDone?: () => void}} props */
export function LoginForm({ onDone }) {
  const [error, setError] = useState("");
  const [busy, setBusy] = useState(false);
  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const data = new FormData(/** @type {HTMLFormElement} */ (event.target));
    setBusy(true);
    try {
      await login(String(data.get("name")), String(data.get("password")));
      onDone?.();
    } catch (caught) {
      setError(sentence(/** @type {Error} */ (caught)));
    }
    setBusy(false);
  };
  return form(
    { class: "login", onSubmit: submit },
    p({ class: "muted" }, "User name and password, or an access key and its secret. ", code("tidemark keys"), " shows or makes keys."),
    label(span("Name or access key"), input({ name: "name", autocomplete: "username", required: true, autofocus: true, spellcheck: false })),
    label(span("Password or secret key"), input({ name: "password", type: "password", autocomplete: "current-password", required: true })),
    error && p({ class: "form-error", role: "alert" }, error),
    button({ class: "button primary", disabled: busy }, busy ? "Logging in …" : "Log in"),
  );
}
