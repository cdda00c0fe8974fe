import assert from "node:assert/strict";
import { test } from "node:test";

import { linearTicks } from "../../../apiserver/web/static/chart/ticks.js";
import { meanAndDeviation, share } from "../../../apiserver/web/static/core/numbers.js";

const { MAX_VALUE: MOST, MIN_VALUE: LEAST } = Number;

test("mean and deviation of ordinary numbers are the textbook's", () => {
  assert.deepEqual(meanAndDeviation([1, 2, 3, 4]), [2.5, Math.sqrt(5 / 3)]);
  assert.deepEqual(meanAndDeviation([7]), [7, 0]);
});

test("mean and deviation of finite numbers are finite", () => {
  assert.deepEqual(meanAndDeviation([MOST, MOST, MOST]), [MOST, 0]);
  assert.deepEqual(meanAndDeviation([MOST, -MOST]), [0, MOST]);
  assert.deepEqual(meanAndDeviation([0, 0]), [0, 0]);
  const [mean, deviation] = meanAndDeviation([1e200, 3e200]);
  assert.ok(Math.abs(mean / 2e200 - 1) < 1e-12 && Math.abs(deviation / Math.SQRT2 / 1e200 - 1) < 1e-12);
  assert.ok(meanAndDeviation([1e-200, 3e-200])[1] > 1e-200);
  assert.deepEqual(meanAndDeviation([LEAST, LEAST]), [LEAST, 0]);
});

test("a value between the two greatest numbers has a place", () => {
  assert.deepEqual([share(0, -MOST, MOST), share(MOST, -MOST, MOST), share(-MOST, -MOST, MOST), share(3, 2, 4)], [0.5, 1, 0, 0.5]);
});

test("ticks end where numbers are too large to count in steps", () => {
  for (const [from, to] of [[1e16, 1e16 + 2], [-MOST, MOST], [1.7e18, 1.7e18 + 256], [0, LEAST], [LEAST, 2 * LEAST]]) {
    const { ticks } = linearTicks(from, to, 5);
    assert.ok(ticks.length <= 12 && new Set(ticks).size === ticks.length && ticks.every(Number.isFinite), `${from} ${to}: ${ticks}`);
  }
});
