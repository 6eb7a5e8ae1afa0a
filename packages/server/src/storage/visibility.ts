/**
 * The part of a `WHERE` that keeps current rows: `r` is a row of records, `n` its namespace's. The one place for the
 * rule. A row of an unfinished run has no `decided_at` and a generation of its own, so nobody sees it.
 */
export const IS_CURRENT = "(r.generation = n.generation OR r.decided_at > n.refreshed_at)";
