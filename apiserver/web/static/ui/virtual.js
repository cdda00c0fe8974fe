// Virtual lists: which rows are on screen.
import { useEffect, useLayoutEffect, useState } from "../vendor/hooks.js";

const BEYOND = 8;
/** px of a window above a list, about, until it has measured itself. */
const ABOVE = 100;

/** Rows that a list shows before it has measured itself. @param {number} height px of a row */
export const rowsAtFirst = (height) => Math.ceil((innerHeight - ABOVE) / height);

/**
 * The rows of `count` to show, those in view of a scrolling element and some beyond its edges; the first picture is without these, so that it is there sooner.
 * `around`: the same with them always, [from, to); `seen`: those in view.
 * @param {{current: HTMLElement | null}} scroller
 * @param {number} count
 * @param {number} height px of a row
 * @param {number} [head] px above the first row that scroll with it
 * @param {number} [under] px covered by elements over the rows, such as a sticky head
 */
export function useVirtual(scroller, count, height, head = 0, under = 0) {
  const [top, setTop] = useState(0);
  const [room, setRoom] = useState(() => innerHeight - ABOVE);
  const [beyond, setBeyond] = useState(0);
  useEffect(() => setBeyond(BEYOND), []);
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return undefined;
    const measure = () => setRoom(element.clientHeight);
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useEffect(() => {
    const element = scroller.current;
    if (!element) return undefined;
    const scrolled = () => setTop(Math.floor(element.scrollTop / height)); // renders once per row, not once per pixel
    element.addEventListener("scroll", scrolled, { passive: true });
    return () => element.removeEventListener("scroll", scrolled);
  }, [height]);
  const within = (/** @type {number} */ more) => [Math.max(0, Math.min(top - Math.ceil(head / height), count) - more), Math.min(count, top + Math.ceil(room / height) + more)];
  const [first = 0, last = 0] = within(beyond);
  const seen = /** @type {[number, number]} */ ([Math.min(top, count), Math.min(count, top + Math.max(1, Math.ceil((room - under) / height)))]);
  return { first, last, around: /** @type {[number, number]} */ (within(BEYOND)), seen, before: first * height, after: Math.max(0, (count - last) * height), atTop: top === 0 };
}
