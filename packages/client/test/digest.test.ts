import assert from "node:assert/strict";
import { hash } from "node:crypto";
import { describe, test } from "node:test";
import { contentText, formatDigest, hashedText } from "@tidemark/protocol/digest";
import fc from "fast-check";
import { digestedText } from "../src/digest.ts";
import { digestOf } from "../src/public.ts";

/** The protocol's text of the record that a server gets, as JSON writes it. */
function received(record: { id: string }): string {
  const { id, ...content } = JSON.parse(JSON.stringify(record));
  return hashedText(id, contentText(content));
}

const member = fc.option(fc.string({ unit: "grapheme" }), { nil: undefined });
const anyRecord = fc.record({
  id: fc.string({ unit: "grapheme" }),
  data: fc.option(fc.dictionary(fc.string({ unit: "grapheme" }), fc.jsonValue({ depthSize: "medium" })), {
    nil: undefined,
  }),
  source_system: member,
  created_at: member,
  updated_at: member,
});

test("the digest of records is the sum of their hashes", async () => {
  const many = Array.from({ length: 5010 }, (_, n) => ({ id: `${n}`, data: { n } }));
  const hashes = many.map((record) => BigInt(`0x${hash("sha256", received(record), "hex")}`));
  assert.equal(await digestOf(many), formatDigest(hashes.reduce((sum, hash) => sum + hash)));
  assert.equal(await digestOf([]), "0".repeat(64));
});

describe("the hashed text of a record", () => {
  test("is the protocol's for every JSON value", () => {
    fc.assert(
      fc.property(anyRecord, (record) => {
        assert.equal(digestedText(record as never), received(record));
      }),
    );
  });

  test("is that of the sent JSON for JavaScript values that JSON does not have", () => {
    const sparse = [1];
    sparse[3] = 4;
    const data = {
      date: new Date(0),
      url: new URL("http://a/b"),
      own: { toJSON: () => ({ b: 1, a: [undefined] }) },
      absent: undefined,
      call: () => 0,
      list: [undefined, () => 0, Symbol("s"), null],
      sparse,
      minus: -0,
      "10": 1,
      "9": 2,
      ["__proto__"]: { deep: true },
      map: new Map([["lost", 1]]),
    };
    const record = { id: "a\n\u{1f600}", data };
    assert.equal(digestedText(record), received(record));
  });

  test("does not exist for values that JSON would silently change", () => {
    for (const value of [Number.NaN, Number.POSITIVE_INFINITY, -Infinity]) {
      assert.throws(() => digestedText({ id: "a", data: { list: [{ value }] } }), /Record "a" has/);
    }
    assert.throws(() => digestedText({ id: "a", data: { value: 1n } }), TypeError);
  });
});
