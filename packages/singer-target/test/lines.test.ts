import assert from "node:assert/strict";
import { test } from "node:test";
import { InexactNumber, parseExactJson } from "@tidemark/protocol/exact-json";
import { approximate, rawMember } from "../src/exact-json.ts";
import { readLines } from "../src/lines.ts";

async function* inChunks(bytes: Uint8Array, size: number) {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function read(bytes: Uint8Array, size: number): Promise<[string, number][]> {
  const lines: [string, number][] = [];
  for await (const line of readLines(inChunks(bytes, size))) lines.push(line);
  return lines;
}

test("lines are the same however the input is cut, and keep their numbers", async () => {
  const bytes = Buffer.from('{"a": "ü🚢"}\n\n  \r\n{"b": 1}\r\n{"c": 2}');
  for (const size of [1, 2, 3, 5, 1000]) {
    assert.deepEqual(await read(bytes, size), [
      ['{"a": "ü🚢"}', 1],
      ['{"b": 1}\r', 4],
      ['{"c": 2}', 5],
    ]);
  }
});

test("input that is not UTF-8 is refused with its line", async () => {
  for (const bad of ['{}\n{"a": "\xff"}', "{}\n{}\xc3"]) {
    await assert.rejects(read(Buffer.from(bad, "latin1"), 4), /line 2: The input is not valid UTF-8/);
  }
});

test("no digit of a number is lost", () => {
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

test("a member is taken out of its object to the letter", () => {
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
