import assert from "node:assert/strict";
import { test } from "node:test";
import { operationField } from "@tidemark/protocol/operation-field";
import { fieldPath } from "../../src/wire/field-path.ts";

test("every field path of the server is divided into its operation and the field in it", () => {
  for (const [index, rest, field] of [
    [0, [], ""],
    [7, ["id"], "id"],
    [4999, ["data", "title"], "data.title"],
    [12, ["a\nb"], '["a\\nb"]'],
    [12, ["data", "x", 3], "data.x[3]"],
  ] as const) {
    assert.deepEqual(operationField(fieldPath(["operations", index, ...rest])), { index, field });
  }
  for (const path of [["operations"], ["sync_timestamp"], ["namespaces", 3], ["operations[3]"]]) {
    assert.equal(operationField(fieldPath(path)), undefined);
  }
});
