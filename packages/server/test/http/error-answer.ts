import assert from "node:assert/strict";
import type { Answer } from "../test-server.ts";

/** Status and type of each code in the contract, deliberately not imported from the source. */
const CONTRACT: Record<string, [status: number, type: string]> = {
  INVALID_JSON: [400, "validation_error"],
  BAD_REQUEST: [400, "validation_error"],
  BATCH_SIZE_EXCEEDED: [400, "validation_error"],
  VALIDATION_FAILED: [400, "validation_error"],
  AUTHENTICATION_REQUIRED: [401, "authentication_error"],
  INSUFFICIENT_PERMISSIONS: [403, "authorization_error"],
  RESOURCE_NOT_FOUND: [404, "not_found_error"],
  VECTOR_STORE_NOT_FOUND: [404, "not_found_error"],
  CONNECTOR_NOT_FOUND: [404, "not_found_error"],
  API_KEY_NOT_FOUND: [404, "not_found_error"],
  METHOD_NOT_ALLOWED: [405, "validation_error"],
  NOT_ACCEPTABLE: [406, "validation_error"],
  REQUEST_TIMEOUT: [408, "validation_error"],
  STALE_SYNC: [409, "conflict_error"],
  REMOVAL_LIMIT_EXCEEDED: [409, "conflict_error"],
  INCOMPLETE_REFRESH: [409, "conflict_error"],
  IDEMPOTENCY_KEY_IN_USE: [409, "conflict_error"],
  INDEX_NOT_READY: [409, "conflict_error"],
  LISTING_OUTDATED: [409, "conflict_error"],
  ALREADY_EXISTS: [409, "conflict_error"],
  PAYLOAD_TOO_LARGE: [413, "validation_error"],
  UNSUPPORTED_MEDIA_TYPE: [415, "validation_error"],
  VALIDATION_ERROR: [422, "validation_error"],
  IDEMPOTENCY_KEY_REUSED: [422, "validation_error"],
  RATE_LIMIT_EXCEEDED: [429, "rate_limit_error"],
  HEADERS_TOO_LARGE: [431, "validation_error"],
  INTERNAL_ERROR: [500, "server_error"],
  SERVICE_UNAVAILABLE: [503, "server_error"],
};

type AnyAnswer = Pick<Answer, "status" | "headers" | "body">;

const MEMBERS = ["code", "details", "message", "status", "system_message", "timestamp", "trace_id", "type"];

/**
 * Asserts that an answer is this error, with exactly the fields of the contract.
 * @returns the error's details
 */
// biome-ignore lint/suspicious/noExplicitAny: details have many shapes
export function assertError(answer: AnyAnswer, code: string): any {
  const [status, type] = CONTRACT[code] ?? assert.fail(`${code} is not in the contract's table`);
  const { body, headers } = answer;
  assert.equal(body?.error?.code, code, JSON.stringify(body));
  assert.equal(answer.status, status);
  assert.match(headers.get("content-type")!, /^application\/json\b/);
  assert.deepEqual(Object.keys(body).sort(), ["error", "success"]);
  assert.equal(body.success, false);
  const { error } = body;
  assert.deepEqual(Object.keys(error).sort(), MEMBERS);
  assert.equal(error.status, status);
  assert.equal(error.type, type);
  for (const text of [error.message, error.system_message]) assert.match(text, /\S/);
  assert.match(error.trace_id, /^req_[\w-]{10,}$/);
  assert.equal(headers.get("x-request-id"), error.trace_id);
  assert.equal(new Date(error.timestamp).toISOString(), error.timestamp);
  assert.equal(Object.getPrototypeOf(error.details), Object.prototype);
  return error.details;
}

/** Returns an error without the fields that differ in every answer. */
export function comparable(answer: Answer): unknown {
  const { trace_id, timestamp, ...error } = answer.body.error;
  return { status: answer.status, error };
}

/** Asserts a 422 that names this field with this code. */
export function assertFieldError(answer: AnyAnswer, field: string, code: string): void {
  const { errors, total_errors } = assertError(answer, "VALIDATION_ERROR");
  assert.ok(Array.isArray(errors) && errors.length > 0 && total_errors >= errors.length);
  for (const error of errors) assert.deepEqual(Object.keys(error).sort(), ["code", "field", "message"]);
  assert.ok(
    errors.some((error: { field: string; code: string }) => error.field === field && error.code === code),
    `no ${code} of ${field} in ${JSON.stringify(errors)}`,
  );
}
