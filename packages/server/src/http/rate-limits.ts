import { ApiError } from "@tidemark/protocol/errors";
import { LIMITS } from "@tidemark/protocol/limits";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Commands } from "../commands.ts";
import type { RateWindow } from "../storage/port.ts";

/** Route hook: counts the request for its organization. @throws ApiError RATE_LIMIT_EXCEEDED */
export function limitRate(
  policy: "sync" | "check-exists",
  limit: number,
  commands: Commands,
  now: () => number,
) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const name = `${policy}:${request.identity.organizationId}`;
    const window = await commands.countRequest(name, limit, LIMITS.rateWindowMs);
    setRateHeaders(reply, policy, limit, window, now());
    if (!window.allowed) throw new ApiError("RATE_LIMIT_EXCEEDED", { limit, window_ms: LIMITS.rateWindowMs });
  };
}

/** The headers of draft-ietf-httpapi-ratelimit-headers, and the older ones. */
export function setRateHeaders(
  reply: FastifyReply,
  policy: string,
  limit: number,
  { allowed, remaining, resetMs }: RateWindow,
  now: number,
): void {
  const resetS = Math.max(1, Math.ceil(resetMs / 1000));
  reply.headers({
    "ratelimit-policy": `"${policy}";q=${limit};w=${LIMITS.rateWindowMs / 1000}`,
    ratelimit: `"${policy}";r=${remaining};t=${resetS}`,
    "x-ratelimit-limit": String(limit),
    "x-ratelimit-remaining": String(remaining),
    "x-ratelimit-reset": String(Math.ceil((now + resetMs) / 1000)),
  });
  if (!allowed) reply.header("retry-after", String(resetS));
}

const MAX_WINDOWS = 100_000;

/** Sliding windows in memory, one a name: for what need not be shared with other processes. */
export class SlidingWindows {
  readonly limit: number;
  #requests = new Map<string, number[]>();

  constructor(limit: number) {
    this.limit = limit;
  }

  count(name: string, now: number): RateWindow {
    const since = now - LIMITS.rateWindowMs;
    const kept = (this.#requests.get(name) ?? []).filter((at) => at > since);
    const allowed = kept.length < this.limit;
    if (allowed) kept.push(now);
    if (this.#requests.size >= MAX_WINDOWS) this.#requests.clear();
    this.#requests.set(name, kept);
    return {
      allowed,
      remaining: this.limit - kept.length,
      resetMs: (kept[0] ?? now) + LIMITS.rateWindowMs - now,
    };
  }
}
