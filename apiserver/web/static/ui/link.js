// Links within the page.
import { go } from "../core/url.js";
import { a } from "./html.js";

/**
 * A link that changes the view without reloading the page; middle click, Ctrl+click and "copy link" work as usual.
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
