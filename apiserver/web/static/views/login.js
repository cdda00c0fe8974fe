// /login?next=…
import { go, param } from "../core/url.js";
import { div, h1, use } from "../ui/html.js";
import { useTitle } from "../ui/hooks.js";
import { Page } from "../ui/shell.js";
import { LoginForm } from "./login-form.js";

export default function Login() {
  useTitle("Log in");
  // Only paths of this server: prevents an open redirect.
  const next = /^\/(?![/\\])/.test(param("next")) ? param("next") : "/";
  return use(Page, { class: "narrow" }, div({ class: "card login-card" }, h1("Log in"), use(LoginForm, { onDone: () => go(next, { replace: true }) })));
}
