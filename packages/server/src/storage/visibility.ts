import type { NamespaceState, RecordRow } from "./port.ts";

/**
 * The one place for the rule which rows are current. A row belongs to the generation that it was written for, and to up
 * to two generations that it is carried into. A staged row has no `decided_at`, so no reader sees it before the flip. A
 * current row that an open run carries is also a staged row.
 */

/**
 * SQL condition for rows that belong to a generation.
 * @param row the alias of `records` in the statement
 */
export const isOf = (generation: string, row = "r"): string =>
  `${generation} IN (${row}.generation, ${row}.carried_in, ${row}.also_carried_in)`;

/** SQL condition for current rows: `r` is a row of records, `n` the row of its namespace. */
export const IS_CURRENT = `(${isOf("n.generation")} OR r.decided_at > n.refreshed_at)`;

/** Whether a row belongs to a generation, as {@link isOf} tests in SQL. */
export function belongsTo({ generation, carriedIn, alsoCarriedIn }: RecordRow, to: number): boolean {
  return generation === to || carriedIn === to || alsoCarriedIn === to;
}

/** Whether a row is current, as {@link IS_CURRENT} tests in SQL. */
export function isCurrent(row: RecordRow, { generation, refreshedAt }: NamespaceState): boolean {
  return belongsTo(row, generation) || (row.decidedAt !== null && row.decidedAt > refreshedAt);
}
