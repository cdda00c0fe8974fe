// Button and key that copy the link to exactly what is shown.
import { exactLink } from "../core/link.js";
import { shortened } from "../core/url.js";
import { copyText } from "./toast.js";

export function copyLink() {
  const { origin } = window.location;
  const [short, kept] = shortened(exactLink().slice(origin.length));
  void copyText(origin + short, kept ? "link without the selection, which is too long for a URL" : "link");
}
