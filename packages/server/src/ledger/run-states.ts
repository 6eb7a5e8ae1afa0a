import type { RunState } from "../storage/port.ts";

/** The kinds of requests of a staged run. A repeated part is a `part` too; it counts once. */
export type RunRequest = "part" | "last_batch" | "applied_last_batch";

/** What such a request does. */
export type RunAnswer =
  /** It begins the run; an expired run begins again, without its earlier parts. */
  | "begins"
  /** The part is staged. */
  | "staged"
  /** The part is staged, and the whole run is applied. */
  | "applied"
  /** It gets the saved answer of the applied last batch. */
  | "replayed"
  | "STALE_SYNC"
  | "INCOMPLETE_REFRESH"
  /** This request cannot occur in this state. */
  | "impossible";

/**
 * What each request of a run does in each state; `none` is a run that no request has begun. The table in
 * docs/internals/sync-semantics.md repeats this one.
 */
export const RUN_TABLE: Record<"none" | RunState, Record<RunRequest, RunAnswer>> = {
  none: { part: "begins", last_batch: "applied", applied_last_batch: "impossible" },
  open: { part: "staged", last_batch: "applied", applied_last_batch: "impossible" },
  applied: { part: "STALE_SYNC", last_batch: "STALE_SYNC", applied_last_batch: "replayed" },
  ended: { part: "STALE_SYNC", last_batch: "STALE_SYNC", applied_last_batch: "impossible" },
  // If it were applied alone, a last batch would clear the records of the forgotten parts.
  expired: { part: "begins", last_batch: "INCOMPLETE_REFRESH", applied_last_batch: "impossible" },
};
