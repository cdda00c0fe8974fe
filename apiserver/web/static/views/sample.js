// A debug sample in a gallery or table: a thumbnail, audio, video, or the reason why it is not shown.
import { useState } from "../vendor/hooks.js";
import { isOwn, reasonAgainst, thumbUrl } from "../core/files.js";
import { address } from "../core/url.js";
import { a, audio, button, div, img, span, video } from "../chart/elements.js";
import { icon } from "../ui/icons.js";

/** @typedef {import("./image-source.js").Picture} Picture */

/** `soon`: loaded wherever it is, not when it comes into view. @param {{picture: Picture, name: string, soon?: boolean, pixels: number, onOpen: () => void}} props */
export function Sample({ picture, name, soon = false, pixels, onOpen }) {
  const { url, kind, stored } = picture;
  const [broken, setBroken] = useState({ url: "", reason: "" });
  const onError = () => {
    setBroken({ url, reason: "" });
    reasonAgainst(url).then(
      (reason) => setBroken({ url, reason }),
      () => undefined, // the error is shown already
    );
  };
  if (!url) return div({ class: "thumb-box no-file" }, span("The browser can't reach this file:"), span({ class: "muted wrap-anywhere" }, stored.slice(0, 120)));
  if (!isOwn(url) && !url.startsWith("data:")) return div({ class: "thumb-box no-file" }, a({ href: url, target: "_blank", rel: "noreferrer noopener" }, "open on its own server"));
  if (kind === "audio") return div({ class: "thumb-box" }, audio({ src: url, controls: true, preload: "none", "aria-label": name }));
  if (kind === "video") return video({ class: "thumb-box", src: url, controls: true, preload: "metadata", "aria-label": name });
  if (kind === "other") return div({ class: "thumb-box no-file" }, icon("file"), a({ href: url, target: "_blank", rel: "noreferrer noopener" }, "open the file"));
  if (broken.url === url) return div({ class: "thumb-box no-file" }, icon("warning"), span(broken.reason || "the file can't be shown"), a({ href: address(url, { download: "1" }), download: "" }, "download"));
  return button({ type: "button", class: "thumb-box", onClick: onOpen, "aria-label": `Open ${name}` }, img({ src: thumbUrl(url, pixels), alt: name, loading: soon ? "eager" : "lazy", decoding: "async", onError }));
}
