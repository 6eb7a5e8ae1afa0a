import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type FailureCode, TidemarkError } from "@tidemark/client";
import { explain } from "../src/explain.ts";
import { DestinationError } from "../src/failure.ts";

const failure = (code: FailureCode, details: object = {}, cause?: unknown) =>
  new TidemarkError({ code, message: "What the server says.", details }, cause);
const operation = (id: string) => JSON.stringify({ action: "upsert", id, namespace: "users", data: {} });

describe("a failure", () => {
  const types: [code: FailureCode, type: string][] = [
    ["AUTHENTICATION_REQUIRED", "config_error"],
    ["INSUFFICIENT_PERMISSIONS", "config_error"],
    ["VECTOR_STORE_NOT_FOUND", "config_error"],
    ["PAYLOAD_TOO_LARGE", "config_error"],
    ["STALE_SYNC", "config_error"],
    ["CONNECTION_FAILED", "transient_error"],
    ["TIMED_OUT", "transient_error"],
    ["SERVICE_UNAVAILABLE", "transient_error"],
    ["INTERNAL_ERROR", "transient_error"],
    ["RATE_LIMIT_EXCEEDED", "transient_error"],
    ["UNEXPECTED_ANSWER", "transient_error"],
    ["INCOMPLETE_REFRESH", "system_error"],
    ["BATCH_SIZE_EXCEEDED", "system_error"],
  ];
  for (const [code, type] of types) {
    test(`with the code ${code} is a ${type}`, () => {
      const explained = explain(failure(code));
      assert.equal(explained.failureType, type);
      assert.equal((explained.cause as TidemarkError).code, code);
      assert.ok(explained.message.length > 30);
    });
  }

  test("of an operation names its stream, its record and the field", () => {
    const errors = [{ field: "operations[1].data.when", code: "X", message: "Is wrong." }];
    const error = failure("VALIDATION_ERROR", { errors, total_errors: 1 });
    const { message, failureType } = explain(error, [operation("a"), operation("b")]);
    assert.equal(message, 'Tidemark rejects the record "b" of users: data.when: Is wrong.');
    assert.equal(failureType, "config_error");
  });

  test("of a whole request has the server's message", () => {
    const errors = [{ field: "sync_timestamp", code: "IN_THE_FUTURE", message: "Is ahead." }];
    const error = failure("VALIDATION_ERROR", { errors, total_errors: 1 });
    assert.equal(
      explain(error, [operation("a")]).message,
      "Tidemark rejects a request: What the server says.",
    );
  });

  test("of a connection has the system's error code", () => {
    const cause = Object.assign(new Error("connect"), { code: "ECONNREFUSED" });
    const error = failure("CONNECTION_FAILED", {}, new TypeError("fetch failed", { cause }));
    assert.match(explain(error).message, /cannot be reached: .* \(ECONNREFUSED\)$/);
  });

  test("that is already explained stays unchanged, and an unknown one is a system_error", () => {
    const known = new DestinationError("config_error", "Known.");
    assert.equal(explain(known), known);
    const { failureType, message } = explain(new RangeError("odd"));
    assert.deepEqual([failureType, message], ["system_error", "Unexpected error: odd"]);
  });
});
