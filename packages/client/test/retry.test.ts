import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type FailureCode, readRetryAfter, TidemarkError } from "../src/errors.ts";
import { retryDelay } from "../src/retry.ts";

const failure = (
  code: FailureCode,
  fields: { status?: number; retryAfterMs?: number; details?: object } = {},
) => new TidemarkError({ code, message: "failed", ...fields });

const isRetried = (error: TidemarkError, repeatable: boolean) =>
  retryDelay(error, repeatable, 1, {}, 0) !== undefined;

describe("a request is sent again", () => {
  const outcome = (outcome: string) => ({ status: 503, details: { outcome } });
  const cases: [name: string, error: TidemarkError, repeatable: boolean, once: boolean][] = [
    ["no connection", failure("CONNECTION_FAILED"), true, false],
    ["no answer in time", failure("TIMED_OUT"), true, false],
    ["500", failure("INTERNAL_ERROR", { status: 500 }), true, false],
    ["408", failure("REQUEST_TIMEOUT", { status: 408 }), true, false],
    ["502 of a proxy", failure("UNEXPECTED_ANSWER", { status: 502 }), true, false],
    ["503, perhaps applied", failure("SERVICE_UNAVAILABLE", outcome("unknown")), true, false],
    ["503, not applied", failure("SERVICE_UNAVAILABLE", outcome("not_applied")), true, true],
    ["429", failure("RATE_LIMIT_EXCEEDED", { status: 429 }), true, true],
    ["429 of a proxy", failure("UNEXPECTED_ANSWER", { status: 429 }), true, true],
    ["a key in use", failure("IDEMPOTENCY_KEY_IN_USE", { status: 409 }), true, true],
    ["another 409", failure("STALE_SYNC", { status: 409 }), false, false],
    ["400", failure("INVALID_JSON", { status: 400 }), false, false],
    ["401", failure("AUTHENTICATION_REQUIRED", { status: 401 }), false, false],
    ["422", failure("VALIDATION_ERROR", { status: 422 }), false, false],
    ["a redirection", failure("UNEXPECTED_ANSWER", { status: 307 }), false, false],
    ["a page of another server", failure("UNEXPECTED_ANSWER", { status: 200 }), false, false],
  ];
  for (const [name, error, repeatable, once] of cases) {
    const when = repeatable ? (once ? "always" : "where repeating it is safe") : "never";
    test(`after ${name}: ${when}`, () => {
      assert.deepEqual([isRetried(error, true), isRetried(error, false)], [repeatable, once]);
    });
  }
});

describe("the wait before it", () => {
  const away = failure("CONNECTION_FAILED");
  const policy = { attempts: 5, baseMs: 100, maxMs: 500 };

  test("doubles up to its limit, until the last attempt", () => {
    const delays = [1, 2, 3, 4, 5].map((attempt) => retryDelay(away, true, attempt, policy, 1));
    assert.deepEqual(delays, [100, 200, 400, 500, undefined]);
  });

  test("is 250 ms at first and doubles up to 30 s by default, with 8 attempts in total", () => {
    const delays = [1, 2, 7, 8].map((attempt) => retryDelay(away, true, attempt, {}, 1));
    assert.deepEqual(delays, [250, 500, 16_000, undefined]);
    assert.equal(retryDelay(away, true, 8, { attempts: 9 }, 1), 30_000);
  });

  test("is random within its upper half", () => {
    assert.equal(retryDelay(away, true, 1, policy, 0), 50);
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.double({ min: 0, max: 1, noNaN: true }),
        (attempt, random) => {
          const delay = retryDelay(away, true, attempt, policy, random)!;
          const most = Math.min(500, 100 * 2 ** (attempt - 1));
          return delay >= most / 2 && delay <= most;
        },
      ),
    );
  });

  test("is at least as long as the server asks for, and random", () => {
    const busy = failure("RATE_LIMIT_EXCEEDED", { status: 429, retryAfterMs: 42_000 });
    assert.equal(retryDelay(busy, true, 1, policy, 0), 42_000);
    assert.equal(retryDelay(busy, true, 1, policy, 1), 42_100);
  });

  test("does not happen if the server asks for more than 5 minutes", () => {
    const away = failure("SERVICE_UNAVAILABLE", { status: 503, retryAfterMs: 300_001 });
    assert.equal(retryDelay(away, true, 1, policy, 0), undefined);
  });

  test("for the rate limit does not count as an attempt", () => {
    const busy = failure("RATE_LIMIT_EXCEEDED", { status: 429, retryAfterMs: 1000 });
    assert.equal(retryDelay(busy, false, 59, policy, 0), 1000);
    assert.equal(retryDelay(busy, false, 60, policy, 0), undefined);
  });
});

test("a Retry-After is read as seconds or as a date", () => {
  const now = Date.UTC(2025, 10, 11, 12);
  assert.equal(readRetryAfter("7", now), 7000);
  assert.equal(readRetryAfter("Tue, 11 Nov 2025 12:00:09 GMT", now), 9000);
  assert.equal(readRetryAfter("Tue, 11 Nov 2025 11:00:00 GMT", now), undefined);
  assert.equal(readRetryAfter("soon", now), undefined);
  assert.equal(readRetryAfter("", now), undefined);
});
