import assert from "node:assert/strict";
import { test } from "node:test";
import { readEntries, readNames, writeEntries, writeNames } from "../../../apiserver/web/static/core/lists.js";
import { distanceOf } from "../../../apiserver/web/static/core/pixels.js";

const NAMES = ["loss", "a,b", "a;b", "~", "~~.", "a~-b", ";,~", "val/acc", "ü 漢"];

test("names come back as they were, whatever signs they have", () => {
  assert.deepEqual(readNames(writeNames(NAMES)), NAMES);
  for (const name of NAMES) assert.deepEqual(readNames(writeNames([name])), [name]);
  assert.equal(writeNames(["loss", "val/acc"]), "loss,val/acc");
});

test("entries come back with their parts", () => {
  const entries = NAMES.map((name, i) => [name, NAMES[(i + 1) % NAMES.length] ?? "", String(i)]);
  assert.deepEqual([...readEntries(writeEntries(entries))], entries.map(([name, ...parts]) => [name, parts]));
});

test("anything can be read", () => {
  for (const text of ["", ",", ";", "~", "~x", ",,;;", "a;;b,~"]) {
    assert.ok(Array.isArray(readNames(text)));
    assert.ok(readEntries(text) instanceof Map);
  }
});

test("two images differ by the pixels in which a channel differs", () => {
  const one = [0, 0, 0, 255, 10, 20, 30, 255];
  assert.deepEqual(distanceOf(one, one), { share: 0, mean: 0, most: 0 });
  assert.deepEqual(distanceOf(one, [0, 0, 0, 255, 10, 26, 30, 255]), { share: 0.5, mean: 1, most: 6 });
});
