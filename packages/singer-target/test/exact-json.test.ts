import assert from "node:assert/strict";
import { test } from "node:test";
import { InexactNumber, parseExactJson } from "@tidemark/protocol/exact-json";
import { approximate, rawMember } from "../src/exact-json.ts";

test("numbers keep all their digits", () => {
  for (const source of [
    "9007199254740993",
    "1e400",
    "0.12345678901234567",
    "-1E-400",
    "1234567890.1234567891",
  ]) {
    const inexact: string[] = [];
    const value = parseExactJson(`{"a": [${source}]}`, (number) => inexact.push(number));
    assert.deepEqual([value, inexact], [{ a: [new InexactNumber(source)] }, [source]]);
    assert.deepEqual(approximate(value), { a: [Number(source)] });
  }
  for (const source of ["9007199254740992", "1e2", "0.1", "1.0", "-0", "100000000000000000000", "5e-324"]) {
    assert.deepEqual(parseExactJson(`{"a": ${source}}`, assert.fail), { a: Number(source) });
  }
});

test("rawMember() returns the exact text of a member", () => {
  const values = ["1.0", '"a \\" } , b"', '{ "value": [1, {"x": "]"}] }', "[ ]", "null", '"\\u00e9\\/"'];
  for (const value of values) {
    for (const text of [
      `{"value":${value}}`,
      `  { "other" : {"value": 2, "a": [1, 2]} , "v\\u0061lue" : ${value}  , "last": "}" }`,
      `{"value": 0, "value": ${value}}`,
    ]) {
      assert.equal(rawMember(text, "value"), value, text);
    }
  }
  assert.equal(rawMember('{"other": {"value": 1}}', "value"), undefined);
  assert.equal(rawMember("{}", "value"), undefined);
});
