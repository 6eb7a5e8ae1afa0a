import assert from "node:assert/strict";
import { test } from "node:test";
import { InexactNumber } from "@tidemark/protocol/exact-json";
import { isExact } from "@tidemark/protocol/exact-number";
import fc from "fast-check";
import { keepable, readExactly, readToPassOn } from "../src/exact-json.ts";

test("the output of JSON.stringify is read unchanged and is not unsure", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const text = JSON.stringify(value);
      const read = readExactly(text);
      assert.deepEqual([JSON.stringify(read.value), read.unsure], [text, false]);
    }),
  );
});

test("an integer is exact if a double holds it", () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 69n), max: 2n ** 69n }), (integer) => {
      const exact = BigInt(String(Number(integer))) === integer;
      assert.equal(isExact(`${integer}`), exact);
      assert.equal(readExactly(`[${integer}]`).unsure, !exact);
    }),
  );
});

const NUMBERS: [source: string, exact: boolean][] = [
  ["0", true],
  ["-0", true],
  ["1.0", true],
  ["100e-2", true],
  ["0.1", true],
  ["9007199254740992", true],
  ["9007199254740993", false],
  ["9007199254740993.0", false],
  ["1e400", false],
  ["1e-400", false],
  ["5e-324", true],
  ["4.9e-324", false],
  ["1e22", true],
  ["10000000000000000000000", true],
  ["123456789.123456789", false],
  ["0.000000000000000000000000000001", true],
];
for (const [source, exact] of NUMBERS) {
  test(`${source} is ${exact ? "a number" : "not a number, and keeps its digits"}`, () => {
    const { value, unsure } = readExactly(`{"a": ${source}}`);
    assert.equal(unsure, !exact);
    const { a } = value as { a: unknown };
    if (exact) assert.equal(a, Number(source));
    else assert.ok(a instanceof InexactNumber && a.source === source);
  });
}

test("values that Tidemark would reject are adapted and counted, and all others stay unchanged", () => {
  const text =
    '{"a": [9007199254740993, 1, "9007199254740993"], "b\\u0000": "\\ud800x", "__proto__": {"c": 1e999}, "d": "\\ud83d\\ude00"}';
  const adapted = { numbers: 0, strings: 0 };
  const { value, unsure } = readExactly(text);
  assert.equal(unsure, true);
  assert.equal(
    JSON.stringify(keepable(value, adapted)),
    '{"a":["9007199254740993",1,"9007199254740993"],"b\uFFFD":"\uFFFDx","__proto__":{"c":"1e999"},"d":"😀"}',
  );
  assert.deepEqual(adapted, { numbers: 2, strings: 2 });
});

test("a state is passed on with unchanged numbers", () => {
  const text = '{"lsn":23011544123456789012,"count":12.0,"ratio":0.10,"big":1e400,"text":"\\n\u2028"}';
  assert.equal(JSON.stringify(readToPassOn(text)), text);
});
