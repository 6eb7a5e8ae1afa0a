import type { RunState } from "../storage/port.ts";

/** What a request of a staged run can be. A part that the run has already is a `part` too; it counts once. */
export type RunRequest = "part" | "last_batch" | "applied_last_batch";

/** What becomes of it. */
export type RunAnswer =
  /** The request begins the run; an expired run begins again, without its earlier parts. */
  | "begins"
  /** The part is staged. */
  | "staged"
  /** The request is staged, and the whole run is applied. */
  | "applied"
  /** The request gets the answer that the applied last batch got. */
  | "replayed"
  | "STALE_SYNC"
  | "INCOMPLETE_REFRESH"
  /** The state rules this request out. */
  | "impossible";

/**
 * What each request of a run does in each state, `none` being a run that no request has begun. The table in
 * docs/internals/sync-semantics.md is made of this one.
 */
export const RUN_TABLE: Record<"none" | RunState, Record<RunRequest, RunAnswer>> = {
  none: { part: "begins", last_batch: "applied", applied_last_batch: "impossible" },
  open: { part: "staged", last_batch: "applied", applied_last_batch: "impossible" },
  applied: { part: "STALE_SYNC", last_batch: "STALE_SYNC", applied_last_batch: "replayed" },
  ended: { part: "STALE_SYNC", last_batch: "STALE_SYNC", applied_last_batch: "impossible" },
  // Applied alone, a last batch would clear what the forgotten parts had.
  expired: { part: "begins", last_batch: "INCOMPLETE_REFRESH", applied_last_batch: "impossible" },
};
