import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { LANGUAGES, readTextSettings } from "../../src/text/settings.ts";

const DEFAULTS = {
  text_fields: null,
  title_field: null,
  metadata_fields: [],
  chunk_tokens: 300,
  chunk_overlap: 0,
  language: "english",
};

test("a setting that is not set has its default", () => {
  assert.deepEqual(readTextSettings({}), DEFAULTS);
  const set = {
    text_fields: ["a.b"],
    title_field: "t",
    metadata_fields: ["m"],
    chunk_tokens: 32,
    chunk_overlap: 15,
    language: "german",
  };
  assert.deepEqual(readTextSettings(set), set);
  assert.deepEqual(readTextSettings({ language: "none", of_another: 1 }), { ...DEFAULTS, language: "none" });
});

test("an invalid value counts as not set", () => {
  const bad: Record<string, unknown[]> = {
    text_fields: ["a", [1], {}, true],
    title_field: [5, [], {}],
    metadata_fields: [null, "a", [null]],
    chunk_tokens: [null, 31, 2001, 300.5, "300", Number.NaN],
    chunk_overlap: [null, -1, 150, 0.5, "10"],
    language: [null, "klingon", "English", 1, "toString"],
  };
  for (const [name, values] of Object.entries(bad)) {
    for (const value of values) {
      assert.deepEqual(readTextSettings({ [name]: value }), DEFAULTS, `${name}: ${JSON.stringify(value)}`);
    }
  }
  assert.equal(readTextSettings({ chunk_tokens: 100, chunk_overlap: 50 }).chunk_overlap, 0);
  assert.equal(readTextSettings({ chunk_tokens: 100, chunk_overlap: 49 }).chunk_overlap, 49);
});

test("the languages are those with a stemmer, and none", () => {
  const manifest = new URL("../package.json", import.meta.resolve("@orama/stemmers/english"));
  const { exports } = JSON.parse(readFileSync(manifest, "utf8"));
  const stemmed = Object.keys(exports).map((path) => path.replace("./", ""));
  assert.deepEqual([...LANGUAGES].sort(), [...stemmed, "none"].sort());
});
