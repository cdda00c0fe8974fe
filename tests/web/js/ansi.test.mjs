import assert from "node:assert/strict";
import { test } from "node:test";

import { ansiPieces, foldProgress, isProgress, overwritten, stripAnsi } from "../../../apiserver/web/static/core/ansi.js";

test("colours become pieces and their text is the text without escapes", () => {
  const line = "\x1b[1;31merror\x1b[0m: \x1b[38;5;46mgreen\x1b[39m end";
  const pieces = ansiPieces(line);
  assert.deepEqual(pieces.map((piece) => [piece.text, piece.color, piece.bold]), [
    ["error", 1, true],
    [": ", -1, false],
    ["green", 10, false],
    [" end", -1, false],
  ]);
  assert.equal(pieces.map((piece) => piece.text).join(""), stripAnsi(line));
});

test("broken and foreign escapes never throw and never hide text", () => {
  for (const line of ["\x1b[", "\x1b[38;5m", "\x1b[38;2;1mx", "\x1b]0;title\x07text", "\x1b[2Kx", "\x1b[?25lx", "\x1b".repeat(100)]) {
    assert.equal(ansiPieces(line).map((piece) => piece.text).join(""), stripAnsi(line));
  }
});

test("carriage returns overwrite", () => {
  assert.equal(overwritten(" 10%|#\r 20%|##\r"), " 20%|##");
  assert.equal(overwritten("a\r\nb"), "a\nb");
});

test("bars of tqdm, Keras and rich are progress, sentences are not", () => {
  for (const line of [
    " 45%|████▌     | 450/1000 [00:12<00:15, 36.4it/s]",
    "Epoch 3: 100%|##########| 5/5 [00:00<?, ?it/s]",
    "12/100 [=====>........................] - ETA: 3s",
    "Downloading ━━━━━━━━━━╸ 45%",
    "7it [00:01,  6.9it/s]",
  ]) {
    assert.ok(isProgress(line), line);
  }
  for (const line of ["epoch 17 step 4100 loss 0.4312", "accuracy 45 % of 1/2", "[1, 2, 3]", "2026-01-01 10/12 [INFO] done", ""]) {
    assert.ok(!isProgress(line), line);
  }
});

test("progress lines are folded and the last of them stays", () => {
  const lines = [0, 1, 1, 1, 1, 0, 1, 1, 0].map((progress) => ({ progress: progress === 1 }));
  assert.deepEqual(foldProgress(lines), [
    { line: 0 },
    { first: 1, last: 3 },
    { line: 4 },
    { line: 5 },
    { line: 6 },
    { line: 7 },
    { line: 8 },
  ]);
  assert.equal(foldProgress(lines, () => true).length, lines.length);
});
