// Elements that only charts use; ui/html.js has the others.
import { tag } from "../ui/html.js";

export * from "../ui/html.js";

export const audio = tag("audio");
export const figure = tag("figure");
export const figcaption = tag("figcaption");
export const iframe = tag("iframe");
export const progress = tag("progress");
export const tfoot = tag("tfoot");
export const video = tag("video");
