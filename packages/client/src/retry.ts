import type { TidemarkError } from "./errors.ts";

/** How often a request that may be repeated is sent, and how long to wait in between. */
export interface RetryPolicy {
  /** Times that a request is sent at most; waits for the rate limit are not counted. Default: 8. */
  attempts: number;
  /** The wait before the second attempt, ms; each one after it is twice as long, … Default: 250. */
  baseMs: number;
  /** … but not longer than this, ms, unless the server asks for more. Default: 30,000. */
  maxMs: number;
}

/** Times in a row that a request waits for the rate limit. */
const RATE_LIMIT_WAITS = 60;

/** A `Retry-After` beyond this is not waited for, ms: the error is the caller's. */
const RETRY_AFTER_MAX_MS = 5 * 60_000;

/** Statuses of the server, or of a proxy before it, after which the same request may succeed; undefined: no answer. */
const PASSING = [undefined, 408, 500, 502, 503, 504];

/** Whether a request was refused because of a rate limit: the server's, or that of a proxy before it. */
export const isLimited = ({ status }: TidemarkError) => status === 429;

/**
 * How long to wait before a failed request is sent again.
 *
 * @param repeatable whether applying the request twice is the same as once. Others are repeated only where the server
 *   says that it did nothing
 * @param attempt of this request, from 1 on
 * @param random from 0 to 1: spreads callers that failed at the same moment
 * @returns ms, or undefined if it should not be sent again
 */
export function retryDelay(
  error: TidemarkError,
  repeatable: boolean,
  attempt: number,
  { attempts = 8, baseMs = 250, maxMs = 30_000 }: Partial<RetryPolicy>,
  random: number,
): number | undefined {
  const { retryAfterMs = 0 } = error;
  const again = isLimited(error)
    ? attempt < RATE_LIMIT_WAITS
    : attempt < attempts && mayPass(error, repeatable);
  if (!again || retryAfterMs > RETRY_AFTER_MAX_MS) return undefined;
  const backoffMs = Math.min(maxMs, baseMs * 2 ** (attempt - 1)) * (0.5 + random / 2);
  return retryAfterMs > 0 ? retryAfterMs + random * baseMs : backoffMs;
}

const mayPass = (error: TidemarkError, repeatable: boolean) =>
  error.is("IDEMPOTENCY_KEY_IN_USE") ||
  (error.is("SERVICE_UNAVAILABLE") && error.details.outcome === "not_applied") ||
  (repeatable && PASSING.includes(error.status));
