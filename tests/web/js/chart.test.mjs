import assert from "node:assert/strict";
import { test } from "node:test";

import * as buckets from "../../../apiserver/web/static/chart/buckets.js";
import { smooth } from "../../../apiserver/web/static/chart/smooth.js";
import { linearTicks } from "../../../apiserver/web/static/chart/ticks.js";

/** Numbers that are the same in every run. */
function randoms(seed) {
  let state = seed;
  return () => (state = (state * 16807) % 2147483647) / 2147483647;
}

/** Every point a bucket of its own. */
function points(xs, ys, times = xs) {
  const made = buckets.emptyBuckets(xs.length, 1);
  xs.forEach((x, i) => {
    const finite = Number.isFinite(ys[i]);
    made.x[i] = x;
    made.mean[i] = made.min[i] = made.max[i] = finite ? ys[i] : NaN;
    made.count[i] = finite ? 1 : 0;
    made.nan[i] = Number.isNaN(ys[i]) ? 1 : 0;
    made.time[i] = times[i];
  });
  return made;
}

function noisy(n, seed = 1) {
  const random = randoms(seed);
  return points(
    Array.from({ length: n }, (_, i) => i),
    Array.from({ length: n }, (_, i) => Math.exp(-i / n) + (random() - 0.5) * 0.5),
  );
}

test("the width is the least power of two that gives few enough buckets", () => {
  assert.equal(buckets.ladderWidth(0, 99, 100), 1);
  assert.equal(buckets.ladderWidth(0, 100, 100), 2);
  assert.equal(buckets.ladderWidth(-5, 1_000_000, 500), 2048);
});

test("times are cut at steps of a clock", () => {
  assert.equal(buckets.ladderWidth(0, 3_600_000, 100, true), 60_000);
  assert.equal(buckets.ladderWidth(0, 1e12, 100, true) % 2_592_000_000, 0);
});

test("merging twice is the same as merging once", () => {
  const raw = noisy(1000);
  const twice = buckets.mergeBuckets(buckets.mergeBuckets(raw, 8), 64);
  const once = buckets.mergeBuckets(raw, 64);
  for (const name of ["x", "min", "max", "count"]) assert.deepEqual([...twice[name]], [...once[name]], name);
  twice.mean.forEach((mean, i) => assert.ok(Math.abs(mean - once.mean[i]) < 1e-12));
});

test("merging keeps the extremes and the number of points, non-finite ones too", () => {
  const ys = Array.from({ length: 300 }, () => 0);
  ys[117] = 1e6;
  ys[200] = NaN;
  const merged = buckets.mergeBuckets(points(ys.map((_, i) => i), ys), 32);
  assert.equal(Math.max(...merged.max), 1e6);
  assert.equal(merged.count.reduce((a, b) => a + b), 299);
  assert.equal(merged.nan.reduce((a, b) => a + b), 1);
});

test("late buckets replace open ones and the others stay", () => {
  const old = points([0, 1, 2], [1, 2, 3]);
  const next = buckets.replaceBuckets(old, points([2, 3], [30, 40]));
  assert.deepEqual([...next.x], [0, 1, 2, 3]);
  assert.deepEqual([...next.mean], [1, 2, 30, 40]);
});

test("a distance of more than eight medians breaks the line, and so does NaN", () => {
  assert.deepEqual([...buckets.findBreaks(points([0, 1, 2, 3, 12, 13], [1, 1, 1, 1, 1, 1]))], [0, 0, 0, 0, 1, 0]);
  assert.deepEqual([...buckets.findBreaks(points([0, 1, 2, 3], [1, NaN, 1, 1]))], [0, 0, 1, 0]);
});

test("series with other x share one column and nothing is bridged", () => {
  const { x, index } = buckets.align([points([0, 2, 4], [1, NaN, 3]), points([0, 1, 2], [5, 6, 7])]);
  assert.deepEqual([...x], [0, 1, 2, 3, 4]);
  assert.deepEqual([...index[0]], [0, -1, -2, -2, 2]);
  assert.deepEqual([...index[1]], [0, 1, 2, -1, -1]);
});

test("the robust range leaves out a spike, the full range shows it", () => {
  const ys = Array.from({ length: 1000 }, (_, i) => i / 1000);
  ys[500] = 1e9;
  const series = [points(ys.map((_, i) => i), ys)];
  assert.equal(buckets.valueRange(series)[1], 1e9);
  const [low, high] = buckets.robustRange(series);
  assert.ok(high < 2 && low >= 0);
});

test("smoothing does not depend on the number of buckets", () => {
  const raw = noisy(100_000);
  const exact = smooth(raw, 2000);
  for (const width of [16, 64, 256]) {
    const merged = buckets.mergeBuckets(raw, width);
    const curve = smooth(merged, 2000);
    let worst = 0;
    for (let i = Math.ceil(8000 / width); i < merged.x.length - 1; i++) {
      worst = Math.max(worst, Math.abs(curve[i] - exact[Math.min((i + 1) * width - 1, raw.x.length - 1)]));
    }
    assert.ok(worst < 0.01, `width ${width}: ${worst}`);
  }
});

test("a constant series stays constant, whatever the half-life", () => {
  const flat = points([0, 1, 5, 9, 20, 21], [1e-4, 1e-4, 1e-4, 1e-4, 1e-4, 1e-4]);
  for (const half of [0, 1, 1e9]) assert.deepEqual([...smooth(flat, half)], Array(6).fill(1e-4));
});

test("smoothing begins again after a gap", () => {
  const xs = [...Array(10).keys(), ...Array.from({ length: 10 }, (_, i) => 1000 + i)];
  const curve = smooth(points(xs, xs.map((x) => (x < 500 ? 0 : 1))), 1e6);
  assert.deepEqual([...curve], xs.map((x) => (x < 500 ? 0 : 1)));
});

test("fewer than five points are not smoothed", () => {
  assert.deepEqual([...smooth(points([0, 1, 2, 3], [0, 9, 0, 9]), 100)], [0, 9, 0, 9]);
});

test("pauses are found in times", () => {
  const times = [0, 1000, 2000, 3000, 200_000, 201_000];
  assert.deepEqual(buckets.findPauses(times), [[3000, 200_000]]);
});

test("nearest finds the nearest", () => {
  const x = [0, 10, 20];
  assert.deepEqual([-5, 4, 6, 15, 16, 99].map((t) => buckets.nearest(x, t)), [0, 0, 1, 1, 2, 2]);
  assert.equal(buckets.nearest([], 1), -1);
});

test("pauses of several series are those that all of them have", () => {
  const until = (n, from = 0) => Array.from({ length: n }, (_, i) => from + i * 1000);
  const one = [...until(50), ...until(50, 1_000_000)];
  const other = [...until(60), ...until(50, 900_000)];
  const busy = until(1000);
  assert.deepEqual(buckets.sharedPauses([one]), [[49_000, 1_000_000]]);
  assert.deepEqual(buckets.sharedPauses([one, other]), [[59_000, 900_000]]);
  assert.deepEqual(buckets.sharedPauses([one, [], other]), [[59_000, 900_000]]);
  assert.deepEqual(buckets.sharedPauses([one, busy]), []);
  assert.deepEqual(buckets.sharedPauses([]), []);
});

test("numbers whose distance is infinite are smoothed, merged and have ticks", () => {
  const ys = [1.7e308, -1.7e308, 1.7e308, -1.7e308, 1.7e308, 1.7e308, Number.MAX_VALUE, -Number.MAX_VALUE];
  const raw = points(ys.map((_, i) => i), ys);
  for (const half of [0.1, 1, 1e9]) assert.ok([...smooth(raw, half)].every(Number.isFinite), String(half));
  assert.ok(Math.abs(smooth(raw, 1e9)[3]) < 1e300);
  const merged = buckets.mergeBuckets(raw, 8);
  assert.deepEqual([merged.x.length, merged.min[0], merged.max[0]], [1, -Number.MAX_VALUE, Number.MAX_VALUE]);
  assert.ok(Math.abs(merged.mean[0] / 4.25e307 - 1) < 1e-12);
  for (const [from, to] of [[-1.7e308, 1.7e308], [-Number.MAX_VALUE, Number.MAX_VALUE], [0, 1.7e308]]) {
    const { ticks } = linearTicks(from, to);
    assert.ok(ticks.length >= 3 && ticks.every((tick) => tick >= from && tick <= to), String(ticks));
  }
});
