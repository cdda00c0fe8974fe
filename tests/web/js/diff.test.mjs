import assert from "node:assert/strict";
import { test } from "node:test";

import { diffLines, hunks } from "../../../apiserver/web/static/query/diff.js";

const sides = (lines) => [
  lines.filter((one) => one.kind !== "added").map((one) => one.text),
  lines.filter((one) => one.kind !== "removed").map((one) => one.text),
];

test("both texts can be read off a difference, whatever they are", () => {
  let seed = 3;
  const next = (n) => (seed = (seed * 16807) % 2147483647) % n;
  for (let round = 0; round < 500; round++) {
    const text = () => Array.from({ length: next(12) + 1 }, () => "abcd"[next(4)]).join("\n");
    const [left, right] = [text(), text()];
    const [a, b] = sides(diffLines(left, right));
    assert.equal(a.join("\n"), left);
    assert.equal(b.join("\n"), right);
  }
});

test("one changed line is one removed and one added, with the numbers of both sides", () => {
  const changed = diffLines("a\nb\nc", "a\nx\nc").filter((one) => one.kind !== "same");
  assert.deepEqual(changed.map(({ kind, text, left, right }) => [kind, text, left, right]), [["removed", "b", 2, 0], ["added", "x", 0, 2]]);
});

test("equal texts have no change, and long equal stretches are left out", () => {
  const text = Array.from({ length: 100 }, (_, i) => i).join("\n");
  assert.deepEqual(hunks(diffLines(text, text)), [100]);
  assert.deepEqual(hunks(diffLines(text, text.replace("\n50\n", "\nfifty\n"))).filter((one) => typeof one === "number"), [47, 46]);
});

test("two long texts without a common line end in bounded work", () => {
  const text = (name) => Array.from({ length: 20_000 }, (_, i) => `${name} ${i}`).join("\n");
  assert.equal(diffLines(text("a"), text("b")).length, 40_000);
});
