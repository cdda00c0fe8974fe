import assert from "node:assert/strict";
import { test } from "node:test";

import { filtered, switched } from "../../../apiserver/web/static/chart/find.js";

const CARDS = [
  { title: "loss / train", wanted: [{ task: "a", metric: "loss", variants: ["train"] }] },
  { title: "acc", wanted: [{ task: "a", metric: "acc", variants: ["top1", "top5"] }] },
  { title: "gone", wanted: [] },
];
const found = (text) => filtered(CARDS, text).map((card) => card.title);

test("series are found by a regular expression, and by plain text while it is none", () => {
  assert.deepEqual(found("^LOSS"), ["loss / train"]);
  assert.deepEqual(found("acc/top5"), ["acc"]);
  assert.deepEqual(found("loss ("), []);
  assert.deepEqual(found("a"), ["loss / train", "acc"]);
  assert.equal(filtered(CARDS, ""), CARDS);
});

test("a click on a legend leaves one line, a second click and an empty chart bring all back", () => {
  const keys = ["a", "b", "c"];
  const alone = switched(new Set(), keys, "b", false);
  assert.deepEqual([...alone], ["a", "c"]);
  assert.equal(switched(alone, keys, "b", false).size, 0);
  assert.deepEqual([...switched(alone, keys, "a", false)], ["b", "c"]);
  assert.deepEqual([...switched(new Set(), keys, "b", true)], ["b"]);
  assert.deepEqual([...switched(alone, keys, "a", true)], ["c"]);
  assert.equal(switched(alone, keys, "b", true).size, 0);
});
