/**
 * The ordering rule as a table: what an operation at 4, 5 or 6 o'clock does to a record or a namespace that a sync at
 * 5 o'clock decided. `A` and `B` are contents.
 */

export type Operation = "upsert A" | "upsert B" | "delete" | "not named";

/** The state of a record before the operation. */
export type RecordState =
  /** No sync ever named it. */
  | "unknown"
  /** An incremental sync wrote A. */
  | "A"
  /** An incremental sync deleted it. */
  | "deleted"
  /** An incremental sync deleted it, and its tombstone was purged. */
  | "purged"
  /** A full refresh wrote A. */
  | "refreshed A"
  /** A full refresh of its namespace did not name it. */
  | "cleared";

/** What the operation does: a count of `changes`, `409` for the whole sync, or nothing. */
export type Outcome =
  | "created"
  | "updated"
  | "unchanged"
  | "removed"
  | "absent"
  | "stale"
  | "cleared"
  | "409"
  | "nothing";

export type Rule = [state: RecordState, operation: Operation, older: Outcome, equal: Outcome, newer: Outcome];

export const INCREMENTAL_RULES: Rule[] = [
  ["unknown", "upsert A", "created", "created", "created"],
  ["unknown", "delete", "absent", "absent", "absent"],
  ["A", "upsert A", "stale", "unchanged", "unchanged"],
  ["A", "upsert B", "stale", "updated", "updated"],
  ["A", "delete", "stale", "removed", "removed"],
  ["deleted", "upsert A", "stale", "created", "created"],
  ["deleted", "delete", "stale", "absent", "absent"],
  ["purged", "upsert A", "stale", "created", "created"],
  ["purged", "delete", "absent", "absent", "absent"],
  ["refreshed A", "upsert A", "stale", "unchanged", "unchanged"],
  ["refreshed A", "upsert B", "stale", "updated", "updated"],
  ["refreshed A", "delete", "stale", "removed", "removed"],
  ["cleared", "upsert A", "stale", "created", "created"],
  ["cleared", "delete", "stale", "absent", "absent"],
];

export const REFRESH_RULES: Rule[] = [
  ["unknown", "upsert A", "created", "created", "created"],
  ["unknown", "delete", "absent", "absent", "absent"],
  ["unknown", "not named", "nothing", "nothing", "nothing"],
  ["A", "upsert A", "stale", "unchanged", "unchanged"],
  ["A", "upsert B", "stale", "updated", "updated"],
  ["A", "delete", "stale", "removed", "removed"],
  ["A", "not named", "nothing", "cleared", "cleared"],
  ["deleted", "upsert A", "stale", "created", "created"],
  ["deleted", "delete", "stale", "absent", "absent"],
  ["deleted", "not named", "nothing", "nothing", "nothing"],
  ["purged", "upsert A", "stale", "created", "created"],
  ["purged", "delete", "absent", "absent", "absent"],
  ["purged", "not named", "nothing", "nothing", "nothing"],
  ["refreshed A", "upsert A", "409", "unchanged", "unchanged"],
  ["refreshed A", "upsert B", "409", "updated", "updated"],
  ["refreshed A", "delete", "409", "removed", "removed"],
  ["refreshed A", "not named", "409", "cleared", "cleared"],
  ["cleared", "upsert A", "409", "created", "created"],
  ["cleared", "delete", "409", "absent", "absent"],
  ["cleared", "not named", "409", "nothing", "nothing"],
];

export const HOURS = ["older", "equal", "newer"] as const;

/** The operation's `sync_timestamp`: older than the sync that decided the record, equal, or newer. */
export const timeOf = (hour: (typeof HOURS)[number]) => `2025-11-11T0${4 + HOURS.indexOf(hour)}:00:00Z`;
export const DECIDED_AT = timeOf("equal");

/** The record's content after an outcome; undefined: the record does not exist. */
export function contentAfter(
  state: RecordState,
  operation: Operation,
  outcome: Outcome,
): "A" | "B" | undefined {
  if (outcome === "created" || outcome === "updated") return operation === "upsert B" ? "B" : "A";
  const had = state === "A" || state === "refreshed A" ? "A" : undefined;
  return outcome === "removed" || outcome === "cleared" ? undefined : had;
}
