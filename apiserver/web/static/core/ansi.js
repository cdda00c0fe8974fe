/** Terminal output: ANSI colours become styled pieces, carriage returns overwrite, progress bars (tqdm and others) are recognized. */

/** @typedef {{text: string, color: number, bold: boolean, dim: boolean, italic: boolean, underline: boolean}} Piece color: 0 to 15, -1 none */

// CSI sequences, OSC sequences (titles, links) and lone two-byte escapes.
// eslint-disable-next-line no-control-regex
const ESCAPE = /\x1b(?:\[([0-9;:]*)([ -/]*[@-~])|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\^_])/g;

/** @returns {Piece} */
function plain() {
  return { text: "", color: -1, bold: false, dim: false, italic: false, underline: false };
}

/**
 * The pieces of one line. Colours of the 256 and true-colour palettes become the nearest of the 16.
 * @param {string} line @returns {Piece[]}
 */
export function ansiPieces(line) {
  if (!line.includes("\x1b")) return [{ ...plain(), text: line }];
  /** @type {Piece[]} */
  const pieces = [];
  let style = plain();
  let from = 0;
  for (const match of line.matchAll(ESCAPE)) {
    if (match.index > from) pieces.push({ ...style, text: line.slice(from, match.index) });
    from = match.index + match[0].length;
    if (match[2] === "m") style = styled(style, match[1]);
  }
  if (from < line.length) pieces.push({ ...style, text: line.slice(from) });
  return pieces;
}

/** The line without escape sequences. @param {string} line */
export function stripAnsi(line) {
  return line.includes("\x1b") ? line.replace(ESCAPE, "") : line;
}

/** @param {Piece} style @param {string} codes @returns {Piece} */
function styled(style, codes) {
  const next = { ...style };
  const list = (codes || "0").split(/[;:]/).map(Number);
  for (let i = 0; i < list.length; i++) {
    const code = list[i];
    if (code === 0) Object.assign(next, plain());
    else if (code === 1) next.bold = true;
    else if (code === 2) next.dim = true;
    else if (code === 3) next.italic = true;
    else if (code === 4) next.underline = true;
    else if (code === 22) next.bold = next.dim = false;
    else if (code === 23) next.italic = false;
    else if (code === 24) next.underline = false;
    else if (code >= 30 && code <= 37) next.color = code - 30;
    else if (code >= 90 && code <= 97) next.color = code - 82;
    else if (code === 39) next.color = -1;
    else if (code === 38 || code === 48) {
      const color = list[i + 1] === 5 ? nearest256(list[i + 2]) : list[i + 1] === 2 ? nearestRgb(list[i + 2], list[i + 3], list[i + 4]) : -1;
      i += list[i + 1] === 5 ? 2 : list[i + 1] === 2 ? 4 : 0;
      if (code === 38) next.color = color;
    }
  }
  return next;
}

/** @param {number} code */
function nearest256(code) {
  if (code < 16) return code;
  if (code >= 232) return code < 244 ? 8 : 7;
  const cube = code - 16;
  const level = (/** @type {number} */ step) => (step ? 55 + step * 40 : 0);
  return nearestRgb(level(Math.floor(cube / 36)), level(Math.floor(cube / 6) % 6), level(cube % 6));
}

/** @param {number} r @param {number} g @param {number} b */
function nearestRgb(r, g, b) {
  const most = Math.max(r, g, b);
  if (!(most > 60)) return 8;
  const on = (/** @type {number} */ part) => (part > most * 0.6 ? 1 : 0);
  return on(r) + 2 * on(g) + 4 * on(b) + (most > 170 ? 8 : 0);
}

/**
 * Text as a terminal shows it after carriage returns: of every line the last piece that is not empty.
 * @param {string} text
 */
export function overwritten(text) {
  if (!text.includes("\r")) return text;
  return text
    .split("\n")
    .map((line) => {
      const parts = line.split("\r").filter((part) => part !== "");
      return parts.length ? parts[parts.length - 1] : "";
    })
    .join("\n");
}

// "12%|███   | 120/1000 [00:12<01:28, 9.9it/s]", "100%|##########| 5/5", "Epoch 3: 45%|...": tqdm; "[=====>....] 12/100": Keras; "━━━ 45%": rich.
const PROGRESS = /\d{1,3}%\|[^|]*\||\b\d+\/(?:\d+|\?) \[[0-9:?<, ]|\[[=>#.\-\s]{8,}\]|[━╸╺]{5,}|\d+(?:it|B|s)\/(?:s|it)\]?\s*$/;

/** Whether a line is a step of a progress bar. @param {string} line */
export function isProgress(line) {
  return line.length < 1000 && PROGRESS.test(line);
}

/** Progress lines are folded from this many on; the last one stays visible, because it shows how the bar ended. */
export const FOLD_FROM = 3;

/**
 * Rows for a list of lines: `{line}` or, for folded progress lines, `{first, last}` (indices, both included) and the last line.
 * @param {{progress: boolean}[]} lines @param {(index: number) => boolean} [unfolded] stretches that the reader opened, by their first index
 * @returns {({line: number} | {first: number, last: number})[]}
 */
export function foldProgress(lines, unfolded = () => false) {
  /** @type {({line: number} | {first: number, last: number})[]} */
  const rows = [];
  for (let i = 0; i < lines.length; ) {
    let end = i;
    while (end < lines.length && lines[end].progress) end++;
    if (end - i >= FOLD_FROM && !unfolded(i)) {
      rows.push({ first: i, last: end - 2 }, { line: end - 1 });
      i = end;
    } else {
      const until = Math.max(end, i + 1);
      for (; i < until; i++) rows.push({ line: i });
    }
  }
  return rows;
}
