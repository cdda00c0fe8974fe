// Line diff of two texts: Myers' O(ND) algorithm (1986) with a bound on its work. Pure.

/** @typedef {{kind: "same" | "removed" | "added", text: string, left: number, right: number}} Line numbers begin at 1; 0: not on that side */

const MOST_EDITS = 2_000;

/**
 * Lines of both texts in order. Beyond 2,000 edits the rest is returned as removed and added completely.
 * @param {string} left
 * @param {string} right
 * @returns {Line[]}
 */
export function diffLines(left, right) {
  const a = left === "" ? [] : left.split("\n");
  const b = right === "" ? [] : right.split("\n");
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) start += 1;
  let end = 0;
  while (end < a.length - start && end < b.length - start && a[a.length - 1 - end] === b[b.length - 1 - end]) end += 1;
  /** @type {Line[]} */
  const lines = [];
  for (let i = 0; i < start; i++) lines.push({ kind: "same", text: a[i] ?? "", left: i + 1, right: i + 1 });
  lines.push(...middle(a.slice(start, a.length - end), b.slice(start, b.length - end), start));
  for (let i = end; i > 0; i--) lines.push({ kind: "same", text: a[a.length - i] ?? "", left: a.length - i + 1, right: b.length - i + 1 });
  return lines;
}

/** @param {string[]} a @param {string[]} b @param {number} offset @returns {Line[]} */
function middle(a, b, offset) {
  const n = a.length;
  const m = b.length;
  const most = Math.min(n + m, MOST_EDITS);
  /** @type {Map<number, number>[]} */
  const trace = [];
  let reach = new Map([[1, 0]]);
  for (let edits = 0; edits <= most; edits++) {
    trace.push(new Map(reach));
    for (let k = -edits; k <= edits; k += 2) {
      const down = k === -edits || (k !== edits && (reach.get(k - 1) ?? -1) < (reach.get(k + 1) ?? -1));
      let x = down ? (reach.get(k + 1) ?? 0) : (reach.get(k - 1) ?? 0) + 1;
      while (x < n && x - k < m && a[x] === b[x - k]) x += 1;
      reach.set(k, x);
      if (x >= n && x - k >= m) return walkBack(a, b, trace, edits, offset);
    }
    reach = new Map(reach);
  }
  return [
    ...a.map((text, i) => /** @type {Line} */ ({ kind: "removed", text, left: offset + i + 1, right: 0 })),
    ...b.map((text, i) => /** @type {Line} */ ({ kind: "added", text, left: 0, right: offset + i + 1 })),
  ];
}

/** @param {string[]} a @param {string[]} b @param {Map<number, number>[]} trace @param {number} edits @param {number} offset @returns {Line[]} */
function walkBack(a, b, trace, edits, offset) {
  /** @type {Line[]} */
  const lines = [];
  let x = a.length;
  let y = b.length;
  for (let d = edits; d >= 0; d--) {
    const reach = trace[d] ?? new Map();
    const k = x - y;
    const down = k === -d || (k !== d && (reach.get(k - 1) ?? -1) < (reach.get(k + 1) ?? -1));
    const from = d === 0 ? 0 : down ? (reach.get(k + 1) ?? 0) : (reach.get(k - 1) ?? 0);
    const fromY = d === 0 ? 0 : from - (down ? k + 1 : k - 1);
    while (x > from && y > fromY) {
      lines.push({ kind: "same", text: a[x - 1] ?? "", left: offset + x, right: offset + y });
      x -= 1;
      y -= 1;
    }
    if (d > 0 && down) lines.push({ kind: "added", text: b[y - 1] ?? "", left: 0, right: offset + y });
    else if (d > 0) lines.push({ kind: "removed", text: a[x - 1] ?? "", left: offset + x, right: 0 });
    x = from;
    y = fromY;
  }
  return lines.reverse();
}

/**
 * The lines near a change; unchanged parts become a number of omitted lines.
 * @param {Line[]} lines
 * @param {number} [around]
 * @returns {(Line | number)[]}
 */
export function hunks(lines, around = 3) {
  const near = new Uint8Array(lines.length);
  lines.forEach((line, i) => {
    if (line.kind !== "same") near.fill(1, Math.max(0, i - around), Math.min(lines.length, i + around + 1));
  });
  /** @type {(Line | number)[]} */
  const out = [];
  let left = 0;
  lines.forEach((line, i) => {
    if (near[i]) {
      if (left) out.push(left);
      left = 0;
      out.push(line);
    } else left += 1;
  });
  if (left) out.push(left);
  return out;
}
