// The frame around every view: brand, navigation, the view's own bar, theme, help, the message about a lost connection.
import { useEffect, useState } from "../vendor/hooks.js";
import { offline, tryNow } from "../core/connection.js";
import { clock } from "../core/format.js";
import { liveState } from "../core/live.js";
import { place } from "../core/url.js";
import { theme, toggleTheme } from "../core/theme.js";
import { upgraded } from "../core/upgrade.js";
import { a, button, div, fragment, header, kbd, main, nav, span, use } from "./html.js";
import { useSignal } from "./hooks.js";
import { icon } from "./icons.js";
import { helpOpen } from "./help.js";
import { link } from "./link.js";

/**
 * A view: `Page({bar: [...], children})`. `bar` is shown in the header between navigation and buttons; `class` is set on <main>.
 * @param {{bar?: any, class?: string, children?: any}} props
 */
export function Page({ bar, class: className = "", children }) {
  const { path } = useSignal(place);
  const dark = useSignal(theme) === "dark";
  const at = (/** @type {boolean} */ here) => (here ? "page" : undefined);
  return fragment(
    a({ class: "skip", href: "#main" }, "Skip to the content"),
    header(
      { class: "top" },
      link({ href: "/", class: "brand", "aria-label": "Tidemark: all runs" }, brandMark(), span("Tidemark")),
      nav(
        { "aria-label": "Places", class: "places" },
        link({ href: "/", "aria-current": at(path === "/") }, "Runs"),
        link({ href: "/projects", "aria-current": at(path === "/projects") }, "Projects"),
        path === "/compare" && link({ href: place.value.href, "aria-current": "page" }, "Compare"),
      ),
      div({ class: "bar" }, bar),
      use(LiveHint, {}),
      button(
        { type: "button", class: "icon-button", onClick: toggleTheme, "aria-label": dark ? "Light theme" : "Dark theme", title: dark ? "Light theme" : "Dark theme" },
        icon(dark ? "sun" : "moon"),
      ),
      button(
        { type: "button", class: "icon-button help-button", onClick: () => (helpOpen.value = true), "aria-label": "Keyboard map", title: "Keyboard map" },
        kbd("?"),
      ),
    ),
    offlineBar(),
    main({ id: "main", tabIndex: -1, class: className }, children),
  );
}

function brandMark() {
  return span({ class: "brand-mark", "aria-hidden": "true" });
}

function LiveHint() {
  const state = useSignal(liveState);
  if (state !== "polling") return null;
  return span(
    { class: "chip live-hint", role: "status", title: "No WebSocket connection to /api/live, perhaps because of a proxy. The page polls every 5 seconds instead." },
    "every 5 s",
  );
}

const offlineBar = () => div({ class: "offline-slot" }, OfflineBar({}), use(UpgradeBar, {}));

function UpgradeBar() {
  if (!useSignal(upgraded)) return null;
  return div({ class: "offline upgrade", role: "status" }, "The server runs a new version of this page. ", button({ type: "button", class: "link", onClick: () => window.location.reload() }, "Reload"));
}

/** @param {object} _props */
function OfflineBar(_props) {
  const state = useSignal(offline);
  const [, tick] = useState(0);
  useEffect(() => {
    if (!state) return undefined;
    const timer = setInterval(() => tick((n) => n + 1), 500);
    return () => clearInterval(timer);
  }, [state]);
  if (!state) return null;
  const seconds = Math.max(0, Math.ceil((state.next - Date.now()) / 1000));
  return div(
    { class: "offline", role: "alert" },
    `Not connected since ${clock(state.since)}. What you see is from that time. `,
    span({ "aria-hidden": "true" }, state.next ? `Retrying in ${seconds} s. ` : "Reconnecting … "),
    button({ type: "button", class: "link", onClick: () => void tryNow() }, "Try now"),
  );
}
