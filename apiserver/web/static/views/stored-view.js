// /…?view=<id>: an address whose query the server stores, because it is too long for a link. The query takes its place.
import { call } from "../core/api.js";
import { address, go, place } from "../core/url.js";
import { div, h1, use } from "../ui/html.js";
import { useCall } from "../ui/hooks.js";
import { Problem } from "../ui/problem.js";
import { Page } from "../ui/shell.js";

/** @param {{view: string}} props */
export function StoredView({ view }) {
  const { error, again } = useCall(
    async (signal) => {
      const params = new URLSearchParams((await call("organization.get_view", { view }, { signal })).query);
      params.delete("view");
      go(address(place.value.path, params), { replace: true });
    },
    [view],
  );
  if (!error) return use(Page, {}, div({ class: "view-loading", "aria-busy": "true" }));
  return use(Page, { class: "narrow" }, h1("This link can't be opened"), use(Problem, { error, again }));
}
