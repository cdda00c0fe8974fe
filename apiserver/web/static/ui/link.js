// Links inside of the page.
import { go } from "../core/url.js";
import { a } from "./html.js";

/**
 * A link that changes the view without loading the page again; middle click, ctrl and "copy address" work as everywhere.
 * @param {{href: string, replace?: boolean, [name: string]: any}} props
 * @param {...import("./html.js").Child} children
 */
export function link({ replace = false, onClick, ...props }, ...children) {
  return a(
    {
      ...props,
      onClick: (/** @type {MouseEvent} */ event) => {
        onClick?.(event);
        if (event.defaultPrevented || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        go(props.href, { replace });
      },
    },
    ...children,
  );
}
