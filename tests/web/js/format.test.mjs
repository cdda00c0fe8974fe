import assert from "node:assert/strict";
import { test } from "node:test";

import * as format from "../../../apiserver/web/static/core/format.js";

test("numbers have four significant digits, a minus sign and no missing zero", () => {
  const cases = [
    [0.042134, "0.04213"], [1.2044e-5, "1.204e−5".replace("−", "\u2212")], [1204992, "1,204,992"], [-1.5, "\u22121.5"], [0, "0"],
    [NaN, "NaN"], [Infinity, "+Inf"], [-Infinity, "\u2212Inf"], [null, ""], [undefined, ""], [1e300, "1e300"], [12345.678, "12,346"], [1e-4, "0.0001"],
  ];
  for (const [value, text] of cases) assert.equal(format.number(value), text);
});

test("the exact form reads back as the same number", () => {
  for (const value of [0.1, 1 / 3, 1e-300, -1.7976931348623157e308, 2 ** 53]) {
    assert.equal(Number(format.exact(value).replaceAll("\u2212", "-")), value);
  }
});

test("durations have two units", () => {
  assert.deepEqual(
    [5, 1500, 41_000, 11_520_000, 187_200_000, 3_600_000, 59_999].map(format.duration),
    ["5 ms", "1.5 s", "41 s", "3 h 12 min", "2 d 4 h", "1 h", "1 min"],
  );
});

test("sizes are decimal", () => {
  assert.deepEqual([0, 999, 1000, 412_000_000, 999_950].map(format.bytes), ["0 B", "999 B", "1 kB", "412 MB", "1 MB"]);
});

test("times of the API are UTC unless they say otherwise", () => {
  assert.equal(format.ms("2026-01-01T00:00:00"), Date.UTC(2026, 0, 1));
  assert.equal(format.ms("2026-01-01T00:00:00+00:00"), Date.UTC(2026, 0, 1));
  assert.ok(Number.isNaN(format.ms(null)));
});

test("steps are short on an axis", () => {
  assert.deepEqual([0, 8000, 12_000, 1_250_000, -20_000].map(format.short), ["0", "8,000", "12k", "1.25M", "\u221220k"]);
});

test("times are shown and read in UTC if the reader wants it", () => {
  const noon = Date.UTC(2026, 10, 30, 12, 4, 31, 204);
  format.showUtc(true);
  assert.equal(format.stampWithZone(noon), "2026-11-30 12:04:31.204 UTC+00:00");
  assert.equal(format.readTime("2026-11-30"), Date.UTC(2026, 10, 30));
  assert.equal(format.readTime("2026-11-30T12:04"), Date.UTC(2026, 10, 30, 12, 4));
  assert.equal(format.readTime("2026-11-30T12:04+01:00"), Date.UTC(2026, 10, 30, 11, 4));
  format.showUtc(false);
  assert.equal(format.readTime("2026-11-30T12:04"), new Date(2026, 10, 30, 12, 4).getTime());
  assert.equal(format.clockMs(noon), `${format.clock(noon)}.204`);
  assert.equal(format.day(new Date(2026, 0, 2, 3).getTime()), "2026-01-02");
});
