import type { RecordVersion } from "../storage/index-port.ts";
import type { RecordRow } from "../storage/port.ts";
import { recordKey } from "../storage/record-key.ts";

/** What publishing a batch changes, besides what it adds. */
export interface Publication {
  /** Versions whose chunks search shall find now. */
  publish: Set<number>;
  /** Rows of records, as they are to be: found by another version. */
  indexed: RecordRow[];
  /** Versions whose chunks nobody needs any more. */
  drop: RecordVersion[];
}

/**
 * Decides what becomes of queued versions: the fence between the index and the ledger. A version is published if a row
 * of its record has it, the current one or one that an open run has staged, whatever happened since it was queued; the
 * record is then no longer found by what it was found by before. Rows that wait for their own text are found by what
 * the current one is, so that no refresh that is applied takes a record back. Chunks of a version that no row is found
 * by go.
 *
 * @param entries versions to be settled, whose chunks are ready
 * @param rows the rows of their records that matter, as the ledger has them now
 */
export function planPublication(
  entries: RecordVersion[],
  rows: RecordRow[],
  isCurrent: (row: RecordRow) => boolean,
): Publication {
  const byRecord = Map.groupBy(rows, recordKey);
  const publish = new Set<number>();
  const changed = new Map<RecordRow, RecordRow>();
  const drop: RecordVersion[] = [];
  for (const entry of entries) {
    const { namespace, id, version } = entry;
    const ofRecord = byRecord.get(recordKey(entry)) ?? [];
    const now = () => ofRecord.map((row) => changed.get(row) ?? row);
    const isShown = ofRecord.some((row) => row.version === version && isCurrent(row));
    for (const row of ofRecord) {
      const before = (changed.get(row) ?? row).indexed;
      const isNews = row.version === version && before !== version;
      const follows = isShown && row.version !== null && before !== row.version && before !== version;
      if (!isNews && !follows) continue;
      changed.set(row, { ...row, indexed: version });
      if (isNews) publish.add(version);
      if (before !== null && !now().some(({ indexed }) => indexed === before)) {
        drop.push({ namespace, id, version: before });
      }
    }
    if (!now().some(({ indexed }) => indexed === version)) drop.push(entry);
  }
  return { publish, indexed: [...changed.values()], drop };
}
