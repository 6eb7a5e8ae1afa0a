import assert from "node:assert/strict";
import { test } from "node:test";
import { parseJson, parseJsonNumbers } from "@tidemark/protocol/parse-json";
import fc from "fast-check";
import { readJson } from "../../src/wire/read-json.ts";

test("a key with an escape is never mistaken for a key of an earlier text", () => {
  // V8's own parser fails here: after the first text, it reads the keys of the others as a backslash.
  JSON.parse('{"c":1,"\\\\":2}');
  for (const key of ["\n", "\b", '"', "\\", "\t", "ü", "\\n"]) {
    const text = `{"c":1,${JSON.stringify(key)}:2}`;
    assert.deepEqual(Object.keys(parseJson(text) as object), ["c", key]);
    assert.deepEqual(Object.keys(readJson(Buffer.from(text)).value as object), ["c", key]);
  }
});

test("reads every text like JSON.parse, except keys with escapes", () => {
  fc.assert(
    fc.property(fc.json({ maxDepth: 5 }), (text) => {
      const escapesKeys = /\\[^:]*"\s*:/.test(text);
      if (!escapesKeys) assert.deepEqual(parseJsonNumbers(text, Number), JSON.parse(text));
    }),
    { numRuns: 2000 },
  );
});

test("values survive writing and reading with any keys", () => {
  const keys = fc.string({ unit: fc.constantFrom("\\", "\n", '"', "a", "ü", "_", "0"), maxLength: 3 });
  const values = fc.letrec((tie) => ({
    value: fc.oneof(fc.string(), fc.integer(), fc.dictionary(keys, tie("value"), { maxKeys: 4 })),
  }));
  fc.assert(
    fc.property(values.value, (value) => {
      assert.equal(JSON.stringify(parseJson(JSON.stringify(value))), JSON.stringify(value));
    }),
    { numRuns: 2000 },
  );
});

test("rejects text that is not JSON", () => {
  const broken = [
    "",
    "{",
    "[1,]",
    '{"a"}',
    '{"a":1,}',
    "01",
    "1.",
    "tru",
    '"a',
    '"\n"',
    "[1 2]",
    "{} {}",
    "-",
    "+1",
  ];
  for (const text of [...broken, '{"\\x":1}', '["\\ud800" "b"]', "{a:1}", "\u00a01"]) {
    assert.throws(() => parseJsonNumbers(text, Number), SyntaxError, text);
    assert.throws(() => JSON.parse(text), SyntaxError, text);
  }
});

test("the key __proto__ is an ordinary key, and the last one of repeated keys counts", () => {
  const parsed = parseJson('{"__proto__":{"x":"\\n"},"a":1,"a":2}') as Record<string, unknown>;
  assert.deepEqual(Object.keys(parsed), ["__proto__", "a"]);
  assert.equal(Object.getPrototypeOf(parsed), Object.prototype);
  assert.equal(parsed.a, 2);
});
