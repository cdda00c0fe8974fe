import assert from "node:assert/strict";
import { test } from "node:test";

import { readColumns } from "../../../apiserver/web/static/core/columns.js";

function answer(header, columns) {
  const head = new TextEncoder().encode(JSON.stringify(header));
  const start = (8 + head.length + 7) & ~7;
  const bytes = new Uint8Array(start + columns.reduce((sum, column) => sum + ((column.byteLength + 7) & ~7), 0));
  bytes.set(new TextEncoder().encode("TMC1"));
  new DataView(bytes.buffer).setUint32(4, head.length, true);
  bytes.set(head, 8);
  let at = start;
  for (const column of columns) {
    bytes.set(new Uint8Array(column.buffer), at);
    at += (column.byteLength + 7) & ~7;
  }
  return bytes.buffer;
}

test("columns are read without a copy", () => {
  const header = { seq: 7, series: [{ task: "t", n: 3, columns: { mean: ["f8", 0], count: ["u4", 24] } }] };
  const buffer = answer(header, [Float64Array.of(1.5, NaN, -Infinity), Uint32Array.of(1, 2, 3)]);
  const read = readColumns(buffer);
  assert.equal(read.seq, 7);
  assert.deepEqual([...read.series[0].columns.mean], [1.5, NaN, -Infinity]);
  assert.deepEqual([...read.series[0].columns.count], [1, 2, 3]);
  assert.equal(read.series[0].columns.mean.buffer, buffer);
});

test("an answer that was cut off is refused with a sentence", () => {
  const whole = answer({ series: [{ n: 2, columns: { mean: ["f8", 0] } }] }, [Float64Array.of(1, 2)]);
  for (const end of [0, 4, 12, whole.byteLength - 1]) assert.throws(() => readColumns(whole.slice(0, end)), RangeError);
  assert.throws(() => readColumns(new TextEncoder().encode('{"meta": 1, "data": 2}').buffer), /expected TMC1/);
});
