import type { RunState } from "../storage/port.ts";

/** What can happen to a run. A part that the run has already is a `part` too; it counts once. */
export type RunEvent =
  | "part"
  | "last_batch"
  /** The request that applied the run, once more. */
  | "applied_last_batch"
  /** A newer refresh is applied in one of the run's namespaces. */
  | "newer_refresh"
  | "abort"
  /** No part came for a day, which a setting may change. */
  | "silence";

/** What becomes of the run, or what the request is answered. */
export type RunReaction =
  /** The request begins the run; an expired run begins again, without its earlier parts. */
  | "begins"
  /** The part is staged. */
  | "staged"
  /** The part is staged, and the whole run is applied. */
  | "applied"
  /** It gets the saved answer of the applied last batch. */
  | "replayed"
  | "ended"
  | "expired"
  | "unchanged"
  | "STALE_SYNC"
  | "INCOMPLETE_REFRESH"
  | "RESOURCE_NOT_FOUND"
  /** The state rules this event out. */
  | "impossible";

/**
 * What each event does to a run in each state, `none` being a run that no request has begun. The table in
 * docs/internals/sync-semantics.md is generated from this one.
 */
export const RUN_TABLE = {
  none: {
    ...{ part: "begins", last_batch: "applied", applied_last_batch: "impossible" },
    ...{ newer_refresh: "impossible", abort: "RESOURCE_NOT_FOUND", silence: "impossible" },
  },
  open: {
    ...{ part: "staged", last_batch: "applied", applied_last_batch: "impossible" },
    ...{ newer_refresh: "ended", abort: "expired", silence: "expired" },
  },
  applied: {
    ...{ part: "STALE_SYNC", last_batch: "STALE_SYNC", applied_last_batch: "replayed" },
    ...{ newer_refresh: "unchanged", abort: "RESOURCE_NOT_FOUND", silence: "unchanged" },
  },
  ended: {
    ...{ part: "STALE_SYNC", last_batch: "STALE_SYNC", applied_last_batch: "impossible" },
    ...{ newer_refresh: "unchanged", abort: "RESOURCE_NOT_FOUND", silence: "unchanged" },
  },
  expired: {
    // Applied alone, a last batch would clear what the forgotten parts had.
    ...{ part: "begins", last_batch: "INCOMPLETE_REFRESH", applied_last_batch: "impossible" },
    ...{ newer_refresh: "unchanged", abort: "RESOURCE_NOT_FOUND", silence: "unchanged" },
  },
} as const satisfies Record<"none" | RunState, Record<RunEvent, RunReaction>>;
