// Elements that only charts and their views use, beside those of ui/html.js.
import { tag } from "../ui/html.js";

export * from "../ui/html.js";

export const audio = tag("audio");
export const figure = tag("figure");
export const figcaption = tag("figcaption");
export const iframe = tag("iframe");
export const progress = tag("progress");
export const tfoot = tag("tfoot");
export const video = tag("video");
