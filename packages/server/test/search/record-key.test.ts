import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { recordKey } from "../../src/storage/record-key.ts";
import { LONG } from "../long.ts";

const string = fc.string({ unit: fc.constantFrom("0", "1", " ", "\0", '"', "a"), maxLength: 6 });

test("records with another namespace or id have another key, whatever characters they have", () => {
  // Each of the separators that a key could be joined with, on either side of the border.
  const property = fc.property(string, string, string, string, (start, middle, end, separator) => {
    const left = { namespace: start + separator + middle, id: end };
    const right = { namespace: start, id: middle + separator + end };
    const isSame = left.namespace === right.namespace;
    assert.equal(recordKey(left) === recordKey(right), isSame);
  });
  fc.assert(property, { numRuns: LONG ? 200_000 : 5000 });
  const long = "1".repeat(11);
  assert.notEqual(recordKey({ namespace: "1", id: long }), recordKey({ namespace: long, id: "" }));
});
