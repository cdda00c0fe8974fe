// Entry point, router, and the elements on top of every view.
import { h, render } from "./vendor/preact.js";
import { useEffect, useErrorBoundary } from "./vendor/hooks.js";
import { loginNeeded } from "./core/api.js";
import { loadPreferences } from "./core/prefs.js";
import { toggleTheme } from "./core/theme.js";
import { look } from "./core/upgrade.js";
import { go, place } from "./core/url.js";
import { toggleUtc, utc } from "./core/zone.js";
import { copyLink } from "./ui/copy-link.js";
import { Dialog } from "./ui/dialog.js";
import { Help, helpOpen } from "./ui/help.js";
import { div, fragment, use } from "./ui/html.js";
import { useComponent, useKeys, useSignal } from "./ui/hooks.js";
import { Problem } from "./ui/problem.js";
import { Page } from "./ui/shell.js";
import { Toasts } from "./ui/toast.js";
import { LoginForm } from "./views/login-form.js";
import { find } from "./views/registry.js";
import { StoredView } from "./views/stored-view.js";
import Lost from "./views/lost.js";

function View() {
  const { path, params } = useSignal(place);
  const found = find(path);
  const view = params.get("view");
  const zone = useSignal(utc) ? "UTC" : "";
  const { component, failure } = useComponent(found?.route.load);
  useEffect(() => {
    if (failure) void look(); // after an update the files of the old version are gone
  }, [failure]);
  if (!found) return use(Lost, { path });
  if (view) return use(StoredView, { view });
  if (component) return use(Guard, { key: `${path} ${zone}`, component, params: found.params });
  return use(Page, {}, failure && use(Problem, { error: failure, again: () => window.location.reload() }));
}

/** @param {{component: any, params: Record<string, string>}} props */
function Guard({ component, params }) {
  const [error, reset] = useErrorBoundary((caught) => console.error(caught));
  if (error) return use(Page, { class: "narrow" }, use(Problem, { error, again: reset, title: "This view failed" }));
  return use(component, params);
}

function Session() {
  const needed = useSignal(loginNeeded);
  const { path } = useSignal(place);
  if (!needed || path === "/login") return null;
  return use(Dialog, { title: "Log in" }, use(LoginForm, {}));
}

function App() {
  useKeys("Everywhere", [
    { keys: "?", does: "this map", run: () => (helpOpen.value = true) },
    { keys: "g r", does: "runs", run: () => go("/") },
    { keys: "g p", does: "projects", run: () => go("/projects") },
    { keys: "g c", does: "compare", run: () => go("/compare") },
    { keys: "u", does: "copy the link to exactly this", run: () => copyLink() },
    { keys: "g t", does: "dark or light theme", run: toggleTheme },
    { keys: "g u", does: "times in UTC or of your time zone", run: toggleUtc },
  ]);
  return fragment(div({ class: "app" }, h(View, null)), h(Session, null), h(Help, null), h(Toasts, null));
}

render(h(App, null), /** @type {HTMLElement} */ (document.getElementById("app")));
loadPreferences().catch(() => undefined); // the view reports the same problem; preferences need no message of their own
