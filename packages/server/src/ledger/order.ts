import type { NamespaceState, RecordRow, Tallies } from "../storage/port.ts";
import type { Content, Operation } from "./operation.ts";

/**
 * The ordering rule: which sync decides a record, and what an operation does to it. docs/internals/sync-semantics.md
 * shows it as a table.
 */

/** The sync timestamp that decided an id: that of its current row or of its namespace's last refresh, if newer. */
export function decidedBy(row: RecordRow | undefined, namespace: NamespaceState): bigint {
  const own = row?.decidedAt ?? 0n;
  return own > namespace.refreshedAt ? own : namespace.refreshedAt;
}

/** True if a current row is a record; false if it is a tombstone or missing. */
export function isLive(row: RecordRow | undefined): row is RecordRow & { version: number; hash: string } {
  return row !== undefined && row.version !== null;
}

export interface Judgement {
  change: Exclude<keyof Tallies, "superseded">;
  /** The content to write, if the record is created or updated. */
  content?: Content;
}

/**
 * What an operation does to its record.
 * @param row the record's current row, if it has one
 */
export function judge(
  operation: Operation,
  row: RecordRow | undefined,
  namespace: NamespaceState,
  timestamp: bigint,
): Judgement {
  if (timestamp < decidedBy(row, namespace)) return { change: "stale" };
  if (operation.action === "delete") return { change: isLive(row) ? "removed" : "absent" };
  if (!isLive(row)) {
    // A purged tombstone of this record may have been newer than the operation.
    if (timestamp < namespace.purgedAt) return { change: "stale" };
    return { change: "created", content: operation.content() };
  }
  if (operation.fingerprint !== null && operation.fingerprint === row.fingerprint)
    return { change: "unchanged" };
  const content = operation.content();
  return row.hash === content.hash ? { change: "unchanged" } : { change: "updated", content };
}

/** What a staged row would do to its record if the run were applied now. */
export function changeOf(staged: RecordRow, row: RecordRow | undefined): keyof Tallies {
  if (staged.version === null) return isLive(row) ? "removed" : "absent";
  if (!isLive(row)) return "created";
  return staged.hash === row.hash ? "unchanged" : "updated";
}

/** The last operation of each id, which is the one that counts. Sorted, so that all syncs write in one order. */
export function lastOfEach(operations: Operation[]): Operation[] {
  const last = new Map(operations.map((operation) => [operation.id, operation]));
  return [...last.values()].sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
}
