import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { canonicalJson } from "@tidemark/protocol/canonical-json";
import fc from "fast-check";
import { readExactly } from "../src/exact-json.ts";
import { idOfContent, idOfKey, valueAt } from "../src/record-id.ts";

const plainText = fc.string({ unit: "binary", maxLength: 300 });
/** Strings that could be mistaken for other values. */
const trickyText = fc.oneof(
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.array(fc.oneof(fc.string(), fc.integer()), { maxLength: 2 }).map((values) => JSON.stringify(values)),
  fc.string().map((text) => JSON.stringify(text)),
  fc.constantFrom("", "null", "true", "[", "[]", "[null]", "sha256:", "\0", "\ud83d", "a\ude00", "-0", "01"),
  fc.integer().map((n) => idOfContent({ n })),
  fc.string({ minLength: 250, maxLength: 270 }),
);
const json = fc.jsonValue({ maxDepth: 2 });
const value = fc.oneof(plainText, trickyText, fc.double({ noNaN: true }), fc.integer(), fc.boolean(), json);
const key = fc.array(value, { minLength: 1, maxLength: 3 });

describe("the id of a key", () => {
  for (const isString of [false, true]) {
    test(`is different for different keys of ${isString ? "strings" : "any type"}, and equal for equal keys`, () => {
      fc.assert(
        fc.property(key, key, (first, second) => {
          const same = canonicalJson(first) === canonicalJson(second);
          const [a, b] = [idOfKey(first, isString), idOfKey(second, isString)];
          if (a === undefined || b === undefined) return;
          assert.equal(a === b, same, `${a} and ${b}`);
        }),
        { numRuns: 1000 },
      );
    });

    test(`is different for similar keys (${isString ? "strings" : "any type"})`, () => {
      const close = fc.constantFrom(
        1,
        "1",
        "1.0",
        '"1"',
        "[1]",
        '["1"]',
        true,
        "true",
        null,
        "null",
        "",
        "a,b",
        "a",
        "b",
      );
      const seen = new Map<string, string>();
      fc.assert(
        fc.property(fc.array(close, { minLength: 1, maxLength: 3 }), (values) => {
          const id = idOfKey(values, isString);
          if (id === undefined) return;
          const text = canonicalJson(values);
          assert.equal(seen.get(id) ?? text, text);
          seen.set(id, text);
        }),
        { numRuns: 1000 },
      );
      assert.ok(seen.size > 200);
    });
  }

  test("is valid in Tidemark: 1 to 255 code points without NUL or unpaired surrogates", () => {
    fc.assert(
      fc.property(key, fc.boolean(), (values, isString) => {
        const id = idOfKey(values, isString);
        if (id === undefined) return;
        const { length } = [...id];
        assert.ok(length >= 1 && length <= 255 && id.isWellFormed() && !id.includes("\0"), id);
      }),
      { numRuns: 500 },
    );
  });

  const examples: [values: unknown[], isString: boolean, id: string | undefined][] = [
    [[42], false, "42"],
    [["user_1"], false, "user_1"],
    [["42"], false, '["42"]'],
    [["42"], true, "42"],
    [[42], true, "[42]"],
    [["eu", 42], false, '["eu",42]'],
    [["a", null], false, '["a",null]'],
    [["a", undefined], false, '["a",null]'],
    [[true], false, "[true]"],
    [[""], true, '[""]'],
    [["a\0"], true, '["a\\u0000"]'],
    [[null], false, undefined],
    [[null, undefined], false, undefined],
    [["😀".repeat(255)], true, "😀".repeat(255)],
  ];
  for (const [values, isString, id] of examples) {
    test(`of ${canonicalJson(values).slice(0, 20)} ${isString ? "declared a string " : ""}is ${String(id).slice(0, 20)}`, () => {
      assert.equal(idOfKey(values, isString), id);
    });
  }

  test("is different for long numbers that are the same double", () => {
    const idOf = (text: string) => idOfKey([readExactly(text).value], false);
    assert.equal(idOf("9007199254740993"), "9007199254740993");
    assert.equal(idOf("9007199254740992"), "9007199254740992");
    assert.equal(idOf('"9007199254740993"'), '["9007199254740993"]');
    const composite = [readExactly("9007199254740993").value, "a"];
    assert.equal(idOfKey(composite, false), '[9007199254740993,"a"]');
  });

  test("of a string of more than 255 code points is a hash", () => {
    assert.match(idOfKey(["x".repeat(256)], true)!, /^sha256:[0-9a-f]{64}$/);
  });
});

test("the id of a record without a key depends on its content, but not on the order of its members", () => {
  assert.equal(idOfContent({ a: 1, b: { c: 2, d: 3 } }), idOfContent({ b: { d: 3, c: 2 }, a: 1 }));
  assert.notEqual(idOfContent({ a: 1 }), idOfContent({ a: "1" }));
});

test("valueAt finds a field at its path, but no inherited property", () => {
  const data = { a: { "b.c": { id: 7 } }, list: [1] };
  assert.equal(valueAt(data, ["a", "b.c", "id"]), 7);
  assert.equal(valueAt(data, ["a", "b", "c", "id"]), undefined);
  assert.equal(valueAt(data, ["constructor", "name"]), undefined);
});
