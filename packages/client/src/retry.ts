import type { TidemarkError } from "./errors.ts";

/** How often a request is sent, and how long the client waits in between. */
export interface RetryPolicy {
  /** How often a request is sent at most, not counting waits for the rate limit. Default: 8. */
  attempts: number;
  /** The wait before the second attempt, ms. Each later wait is twice as long. Default: 250. */
  baseMs: number;
  /** The longest wait, ms, unless the server asks for more. Default: 30,000. */
  maxMs: number;
}

/** How often a request waits for the rate limit at most. */
const RATE_LIMIT_WAITS = 60;

/** The longest `Retry-After` that the client waits for, ms; beyond it, the caller gets the error. */
const RETRY_AFTER_MAX_MS = 5 * 60_000;

/** Statuses of the server or a proxy after which a retry may succeed; undefined stands for no answer. */
const PASSING = [undefined, 408, 500, 502, 503, 504];

/** Whether a rate limit of the server or a proxy rejected the request. */
export const isLimited = ({ status }: TidemarkError) => status === 429;

/**
 * Decides how long to wait before a failed request is sent again.
 *
 * @param repeatable whether applying the request twice is the same as once; others are sent again only if the server
 *   says that it did nothing
 * @param attempt number of the failed attempt, from 1
 * @param random from 0 to 1, which spreads callers that failed at the same moment
 * @returns ms, or undefined if the request should not be sent again
 */
export function retryDelay(
  error: TidemarkError,
  repeatable: boolean,
  attempt: number,
  { attempts = 8, baseMs = 250, maxMs = 30_000 }: Partial<RetryPolicy>,
  random: number,
): number | undefined {
  const { retryAfterMs = 0 } = error;
  const isRetried = isLimited(error)
    ? attempt < RATE_LIMIT_WAITS
    : attempt < attempts && mayPass(error, repeatable);
  if (!isRetried || retryAfterMs > RETRY_AFTER_MAX_MS) return undefined;
  const backoffMs = Math.min(maxMs, baseMs * 2 ** (attempt - 1)) * (0.5 + random / 2);
  return retryAfterMs > 0 ? retryAfterMs + random * baseMs : backoffMs;
}

const mayPass = (error: TidemarkError, repeatable: boolean) =>
  error.is("IDEMPOTENCY_KEY_IN_USE") ||
  (error.is("SERVICE_UNAVAILABLE") && error.details.outcome === "not_applied") ||
  (repeatable && PASSING.includes(error.status));
