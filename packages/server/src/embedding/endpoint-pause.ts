import type { EmbedderUnavailable } from "./embedder.ts";

const FIRST_PAUSE_MS = 500;
const PAUSE_MAX_MS = 30_000;

/** Pauses calls to a failing endpoint: longer after each failure, with jitter, and at least as long as it asks for. */
export class EndpointPause {
  /** No call before this time, ms since 1970. */
  until = 0;
  /** The message of the last failure. */
  reason = "";
  #failures = 0;

  failed({ message, retryAfterMs }: EmbedderUnavailable, now: number): void {
    const own = Math.min(PAUSE_MAX_MS, FIRST_PAUSE_MS * 2 ** this.#failures++) * (0.5 + Math.random());
    this.until = now + Math.round(Math.max(own, retryAfterMs ?? 0));
    this.reason = message;
  }

  /** Call before a request: after a failure only one request runs, so that the others do not wait for a timeout. */
  asking(now: number): void {
    if (this.#failures > 0) this.until = now + PAUSE_MAX_MS;
  }

  worked(): void {
    this.#failures = 0;
    this.until = 0;
  }
}
