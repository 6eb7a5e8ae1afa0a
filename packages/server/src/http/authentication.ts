import { ApiError } from "@tidemark/protocol/errors";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Identity } from "../access/api-keys.ts";
import { hashKey, readKey } from "../access/key-format.ts";
import type { Commands } from "../commands.ts";
import { type SlidingWindows, setRateHeaders } from "./rate-limits.ts";

/** How long a revoked key may keep working; the contract allows 5 seconds. */
const IDENTITY_CACHE_MS = 2000;
const IDENTITY_CACHE_ENTRIES = 10_000;
const LAST_USED_FLUSH_MS = 30_000;

/** Identifies the caller of a request by its `X-API-Key`. */
export class Authentication {
  #commands: Commands;
  #failures: SlidingWindows;
  #now: () => number;
  #cache = new Map<string, { identity: Identity; until: number }>();
  #lastUsed = new Map<string, number>();
  #flushTimer: NodeJS.Timeout;

  /** @param failures counts requests without a valid key, by client address */
  constructor(commands: Commands, failures: SlidingWindows, now: () => number) {
    this.#commands = commands;
    this.#failures = failures;
    this.#now = now;
    this.#flushTimer = setInterval(() => void this.flush(), LAST_USED_FLUSH_MS);
    this.#flushTimer.unref();
  }

  /** Route hook: sets `request.identity`. @throws ApiError AUTHENTICATION_REQUIRED, RATE_LIMIT_EXCEEDED */
  authenticate = async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const key = request.headers["x-api-key"];
    const identity = typeof key === "string" && readKey(key) ? await this.#identify(key) : undefined;
    if (identity) {
      request.identity = identity;
      this.#lastUsed.set(identity.keyId, this.#now());
      return;
    }
    const window = this.#failures.count(request.ip, this.#now());
    setRateHeaders(reply, "unauthenticated", this.#failures.limit, window, this.#now());
    if (!window.allowed) throw new ApiError("RATE_LIMIT_EXCEEDED");
    throw new ApiError("AUTHENTICATION_REQUIRED");
  };

  async #identify(key: string): Promise<Identity | undefined> {
    const now = this.#now();
    const cacheKey = hashKey(key);
    const cached = this.#cache.get(cacheKey);
    if (cached && cached.until > now) {
      const { expiresAt } = cached.identity;
      return expiresAt === null || expiresAt > now ? cached.identity : undefined;
    }
    this.#cache.delete(cacheKey);
    const identity = await this.#commands.identify(key, now);
    if (identity) {
      if (this.#cache.size >= IDENTITY_CACHE_ENTRIES) this.#cache.clear();
      this.#cache.set(cacheKey, { identity, until: now + IDENTITY_CACHE_MS });
    }
    return identity;
  }

  /** Clears the cache of identities, so that this process rejects revoked keys immediately. */
  forget(): void {
    this.#cache.clear();
  }

  /** Stores when keys were last used. */
  async flush(): Promise<void> {
    const used = [...this.#lastUsed];
    this.#lastUsed.clear();
    if (used.length > 0) await this.#commands.noteKeyUse(used).catch(() => {});
  }

  async close(): Promise<void> {
    clearInterval(this.#flushTimer);
    await this.flush();
  }
}

declare module "fastify" {
  interface FastifyRequest {
    /** The caller; set by {@link Authentication.authenticate}. */
    identity: Identity;
  }
}
