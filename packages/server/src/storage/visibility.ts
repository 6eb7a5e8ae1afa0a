import type { NamespaceState, RecordRow } from "./port.ts";

/**
 * The one place for the rule which rows are current. A row belongs to the generation that it was written for, and to
 * those, two at most, that it was carried into. A row of an unfinished run has no `decided_at`, so nobody
 * sees it before the flip; a row that is current and carried into such a run is both at once, until then.
 */

/**
 * The part of a `WHERE` that keeps the rows of a generation.
 * @param row the name that `records` has in the statement
 */
export const isOf = (generation: string, row = "r"): string =>
  `${generation} IN (${row}.generation, ${row}.carried_in, ${row}.also_carried_in)`;

/** The part of a `WHERE` that keeps current rows: `r` is a row of records, `n` its namespace's. */
export const IS_CURRENT = `(${isOf("n.generation")} OR r.decided_at > n.refreshed_at)`;

/** The same of a row that was read. */
export function belongsTo({ generation, carriedIn, alsoCarriedIn }: RecordRow, to: number): boolean {
  return generation === to || carriedIn === to || alsoCarriedIn === to;
}

export function isCurrent(row: RecordRow, { generation, refreshedAt }: NamespaceState): boolean {
  return belongsTo(row, generation) || (row.decidedAt !== null && row.decidedAt > refreshedAt);
}
