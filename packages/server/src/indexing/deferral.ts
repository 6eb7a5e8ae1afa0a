import type { Deferral, QueueEntry } from "../storage/index-port.ts";

/** Tries of one record before it has failed, and the pauses between them. */
const ATTEMPTS_MAX = 6;
const FIRST_PAUSE_MS = 1000;
/** How long records wait at least that the endpoint could not be asked for. */
const UNAVAILABLE_PAUSE_MS = 1000;

/**
 * How an entry is deferred.
 * @param reason why the record failed; null: it did not, the endpoint did, and is left alone until a moment
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
