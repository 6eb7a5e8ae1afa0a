import { ApiError } from "@tidemark/protocol/errors";
import { LIMITS } from "@tidemark/protocol/limits";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Commands } from "../commands.ts";
import type { RateWindow } from "../storage/port.ts";

/** Returns a route hook that limits an organization's requests. @throws ApiError RATE_LIMIT_EXCEEDED */
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

/** Sets the headers of draft-ietf-httpapi-ratelimit-headers, and the older `X-RateLimit-*` headers. */
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

/** Sliding windows in the memory of this process, one for each name. */
export class SlidingWindows {
  readonly limit: number;
  #requests = new Map<string, number[]>();

  constructor(limit: number) {
    this.limit = limit;
  }

  count(name: string, now: number): RateWindow {
    const since = now - LIMITS.rateWindowMs;
    const recent = (this.#requests.get(name) ?? []).filter((at) => at > since);
    const allowed = recent.length < this.limit;
    if (allowed) recent.push(now);
    if (this.#requests.size >= MAX_WINDOWS) this.#requests.clear();
    this.#requests.set(name, recent);
    return {
      allowed,
      remaining: this.limit - recent.length,
      resetMs: (recent[0] ?? now) + LIMITS.rateWindowMs - now,
    };
  }
}
