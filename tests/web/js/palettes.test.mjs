import assert from "node:assert/strict";
import { test } from "node:test";

import { DARK, LIGHT, Picks, dashOf } from "../../../apiserver/web/static/core/palettes.js";

const linear = (c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
const rgb = (hex) => [1, 3, 5].map((at) => linear(parseInt(hex.slice(at, at + 2), 16) / 255));
const luminance = ([r, g, b]) => 0.2126 * r + 0.7152 * g + 0.0722 * b;
const contrast = (a, b) => {
  const [high, low] = [luminance(rgb(a)), luminance(rgb(b))].sort((x, y) => y - x);
  return (high + 0.05) / (low + 0.05);
};
const multiply = (matrix, v) => matrix.map((row) => row.reduce((sum, part, i) => sum + part * v[i], 0));

// Machado, Oliveira, Fernandes 2009, severity 1, on linear RGB.
const VISIONS = {
  normal: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protan: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deutan: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
  tritan: [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.3039]],
};

function oklab(v) {
  const [r, g, b] = v.map((part) => Math.min(1, Math.max(0, part)));
  const l = Math.cbrt(0.4122214708 * r + 0.5363325363 * g + 0.0514459929 * b);
  const m = Math.cbrt(0.2119034982 * r + 0.6806995451 * g + 0.1073969566 * b);
  const s = Math.cbrt(0.0883024619 * r + 0.2817188376 * g + 0.6299787005 * b);
  return [
    0.2104542553 * l + 0.793617785 * m - 0.0040720468 * s,
    1.9779984951 * l - 2.428592205 * m + 0.4505937099 * s,
    0.0259040371 * l + 0.7827717662 * m - 0.808675766 * s,
  ];
}

for (const [name, palette, background] of [["light", LIGHT, "#ffffff"], ["dark", DARK, "#16191d"]]) {
  test(`every colour of the ${name} palette is seen on its background`, () => {
    for (const color of palette) assert.ok(contrast(color, background) >= 3, `${color}: ${contrast(color, background)}`);
  });

  test(`no two colours of the ${name} palette look alike, whatever the vision`, () => {
    for (const [vision, matrix] of Object.entries(VISIONS)) {
      const seen = palette.map((color) => oklab(multiply(matrix, rgb(color))));
      for (let i = 0; i < seen.length; i++) {
        for (let j = 0; j < i; j++) {
          const distance = 100 * Math.hypot(...seen[i].map((part, k) => part - seen[j][k]));
          assert.ok(distance >= 12, `${palette[i]} and ${palette[j]}, ${vision}: ${distance}`);
        }
      }
    }
  });
}

test("32 runs that are shown together have 32 looks, and keep them", () => {
  const picks = new Picks();
  const ids = Array.from({ length: 32 }, (_, i) => `run ${i}`);
  const first = picks.of(ids);
  assert.equal(new Set(first.values()).size, 32);
  assert.deepEqual([...picks.of([...ids].reverse())].sort(), [...first].sort());
  assert.deepEqual(dashOf(3), []);
  assert.notDeepEqual(dashOf(9), dashOf(17));
});
