import type { Deferral, QueueEntry } from "../storage/index-port.ts";

/** After this many attempts an entry is failed. */
const ATTEMPTS_MAX = 6;
const FIRST_PAUSE_MS = 1000;
/** The least time that an entry waits for an unavailable endpoint. */
const UNAVAILABLE_PAUSE_MS = 1000;

/**
 * Until when an entry is deferred, with how many attempts.
 * @param reason why the record failed; null: the endpoint is unavailable, which costs the entry no attempt
 * @param until when the endpoint may be called again, ms since 1970
 */
export function deferralOf(
  { version, attempts }: Pick<QueueEntry, "version" | "attempts">,
  reason: string | null,
  now: number,
  until: number,
): Deferral {
  const jitter = 0.5 + Math.random();
  if (reason === null) {
    const dueAt = Math.max(until, now + Math.round(UNAVAILABLE_PAUSE_MS * jitter));
    return { version, attempts, error: null, dueAt };
  }
  const tried = attempts + 1;
  const pause = FIRST_PAUSE_MS * 4 ** attempts * jitter;
  return {
    version,
    attempts: tried,
    error: reason,
    dueAt: tried >= ATTEMPTS_MAX ? null : now + Math.round(pause),
  };
}
