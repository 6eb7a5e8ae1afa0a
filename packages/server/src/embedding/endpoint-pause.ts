import type { EmbedderUnavailable } from "./embedder.ts";

const FIRST_PAUSE_MS = 500;
const PAUSE_MAX_MS = 30_000;

/** How long an endpoint that fails is left alone: longer each time, with jitter, and as long as it asks for. */
export class EndpointPause {
  /** Nobody asks it before, ms since 1970. */
  until = 0;
  /** Why. */
  reason = "";
  #failures = 0;

  failed({ message, retryAfterMs }: EmbedderUnavailable, now: number): void {
    const own = Math.min(PAUSE_MAX_MS, FIRST_PAUSE_MS * 2 ** this.#failures++) * (0.5 + Math.random());
    this.until = now + Math.round(Math.max(own, retryAfterMs ?? 0));
    this.reason = message;
  }

  /** After a failure one asks again at a time: the others are not kept waiting for an answer that may not come. */
  asking(now: number): void {
    if (this.#failures > 0) this.until = now + PAUSE_MAX_MS;
  }

  worked(): void {
    this.#failures = 0;
    this.until = 0;
  }
}
