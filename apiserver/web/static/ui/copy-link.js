// Button and key that copy the link to exactly what is shown.
import { call } from "../core/api.js";
import { LONGEST, address, exactHref, split } from "../core/url.js";
import { sentence } from "./problem.js";
import { copyText, toast } from "./toast.js";

export async function copyLink() {
  try {
    await copyText(window.location.origin + (await linkTo(exactHref())), "link");
  } catch (error) {
    toast(`The link is too long for an address, and the server did not store it: ${sentence(/** @type {Error} */ (error))}`, { bad: true });
  }
}

/** The address; a long one as a view that the server stores. @param {string} href */
async function linkTo(href) {
  if (href.length <= LONGEST) return href;
  const [path, query] = split(href);
  const { view } = await call("organization.save_view", { query });
  return address(path, { view });
}
