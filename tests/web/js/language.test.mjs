import assert from "node:assert/strict";
import { test } from "node:test";

import { complete } from "../../../apiserver/web/static/query/complete.js";
import { compile } from "../../../apiserver/web/static/query/compile.js";
import { csv } from "../../../apiserver/web/static/query/csv.js";
import { LanguageError, parse, quote, quoteName, termLike, timeOf, toggled } from "../../../apiserver/web/static/query/language.js";

const vocabulary = {
  parameters: [{ section: "General", name: "lr" }, { section: "Args", name: "batch size" }],
  series: [{ metric: "val", variant: "loss", metric_hash: "M", variant_hash: "V" }],
  values: async () => ["0.001", "0.01", "0.1", "auto"],
  projects: async (names) => (names.includes("vision") ? ["p1", "p2"] : []),
  users: async () => ["u1"],
};
const NOW = Date.parse("2026-11-30T12:00:00Z");
const fields = async (text) => compile(parse(text).terms, vocabulary, NOW);

test("the example of the design parses", () => {
  const { terms, mistake } = parse('status:running,failed tag:baseline -tag:old lr<0.01 val/loss.min<0.5 name~"^resnet" started>-7d iter>=1000 "free text"');
  assert.equal(mistake, null);
  assert.deepEqual(terms.map((one) => one.kind), ["list", "list", "list", "range", "range", "match", "range", "range", "text"]);
});

test("terms become fields of tasks.get_all_ex", async () => {
  assert.deepEqual(await fields("status:running,failed tag:a -tag:b iter>=1000 val/loss.min<0.5"), {
    last_iteration: [">=1000"],
    "last_metrics.M.V.min_value": ["<0.5"],
    filters: {
      status: { op: "and", any: { include: ["in_progress", "failed"] } },
      tags: { op: "and", any: { include: ["a"] }, all: { exclude: ["b"] } },
    },
    system_tags: ["-archived"],
  });
});

test("min:val/loss and val/loss.min are the same", async () => {
  assert.deepEqual(await fields("min:val/loss<=0.5"), await fields("val/loss.min<=0.5"));
});

test("a parameter is compared as a number, although it is stored as text", async () => {
  assert.deepEqual((await fields("lr<0.05")).filters, { "hyperparams.General.lr.value": { op: "and", any: { include: ["0.001", "0.01"] } } });
});

test("a comparison that no value fits matches nothing, not everything", async () => {
  assert.notDeepEqual((await fields("lr<0")).filters["hyperparams.General.lr.value"].any.include, []);
});

test("a name with blanks stands in quotes", async () => {
  assert.deepEqual(Object.keys((await fields('"batch size":32')).filters), ["hyperparams.Args.batch size.value"]);
});

test("times count back from now, or are dates", () => {
  assert.equal(timeOf("-7d", NOW), NOW - 7 * 86_400_000);
  assert.equal(timeOf("2026-11-30T00:00:00Z", NOW), Date.parse("2026-11-30T00:00:00Z"));
  assert.equal(timeOf("soon", NOW), null);
});

test("free words are searched in their order, signs of patterns included", async () => {
  assert.equal((await fields('resnet "a+b"'))._any_.pattern, "resnet.*a\\+b");
});

test("a mistake names where it is and what was expected", async () => {
  for (const [text, from, message] of [
    ["iter>abc", 5, /number/],
    ["started>soon", 8, /time/],
    ['name~"open', 5, /closing/],
    ["status:", 7, /value/],
    ["tag:a,", 6, /comma/],
    [":x", 0, /name/],
    ["status<3", 0, /list/],
  ]) {
    const { mistake } = parse(text);
    assert.ok(mistake, text);
    assert.equal(mistake.from, from, text);
    assert.match(mistake.message, message);
  }
});

test("an unknown name is refused with the nearest known one", async () => {
  await assert.rejects(fields("LR<1"), (error) => error instanceof LanguageError && /did you mean "lr"/.test(error.message));
  await assert.rejects(fields("status:finished"), /no status "finished"/);
  await assert.rejects(fields("project:nowhere"), /no project "nowhere"/);
});

test("the parser never throws, whatever it gets", () => {
  const signs = ['"', ":", "<", ">", "=", "~", "!", ",", "-", " ", "\\", "a", "hp:", "min:", "/", ".", "\u0000", "é", "😀", "1"];
  let seed = 7;
  const next = () => (seed = (seed * 16807) % 2147483647);
  for (let round = 0; round < 3000; round++) {
    const text = Array.from({ length: next() % 12 }, () => signs[next() % signs.length]).join("");
    const { terms, mistake } = parse(text);
    assert.ok(Array.isArray(terms));
    if (mistake) assert.ok(mistake.from >= 0 && mistake.to > mistake.from, JSON.stringify(text));
  }
});

test("what quote writes is read back as the same value", () => {
  for (const value of ["a", "a b", 'a"b', "a\\b", "a,b", "", "a:b", "-x", "<", "é 😀"]) {
    const { terms, mistake } = parse(`tag:${quote(value)}`);
    assert.equal(mistake, null, value);
    assert.deepEqual(terms[0].values, [value]);
  }
  for (const name of ["lr", "batch size", "a<b", 'a"b']) assert.equal(parse(`${quoteName(name)}:1`).terms[0].field, name);
});

test("completion offers fields, then values", async () => {
  const names = { ...vocabulary, tags: ["baseline", "old"], users: [], projects: [], types: [] };
  const texts = async (text) => (await complete(text, text.length, names)).map((one) => one.text);
  assert.ok((await texts("sta")).includes("status:"));
  assert.ok((await texts("val")).includes("val/loss.min<"));
  assert.deepEqual(await texts("tag:ba"), ["baseline"]);
  assert.deepEqual(await texts("status:running,fa"), ["failed"]);
  assert.deepEqual(await texts("iter>"), []);
});

test("a CSV quotes what must be, and no cell begins a formula", () => {
  assert.equal(csv(["a", "b"], [['x,"y"', "=1+1"], [-1.5, null], ["-2", "-x"]]), 'a,b\r\n"x,""y""",\'=1+1\r\n-1.5,\r\n-2,\'-x\r\n');
});

test("a term with a blank is found and removed, however it is written", () => {
  assert.equal(toggled("lr<1", 'tag:"two words"'), 'lr<1 tag:"two words"');
  assert.equal(toggled('lr<1 tag:"two words" x', 'tag:"two words"'), "lr<1 x");
  assert.ok(termLike('"tag":paper', "tag:paper"));
  assert.ok(!termLike("-tag:paper", "tag:paper"));
  assert.ok(!termLike("tag:paper,old", "tag:paper"));
});
