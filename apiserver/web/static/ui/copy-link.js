// Button and key that copy the link to exactly what is shown.
import { exactHref, shortened } from "../core/url.js";
import { copyText } from "./toast.js";

export function copyLink() {
  const [short, kept] = shortened(exactHref());
  void copyText(window.location.origin + short, kept ? "link without the selection, which is too long for a URL" : "link");
}
