import type { RecordVersion } from "../storage/index-port.ts";
import type { RecordRow } from "../storage/port.ts";
import { recordKey } from "../storage/record-key.ts";

/** What publishing a batch changes. */
export interface Publication {
  /** Versions whose chunks are added to the index. */
  publish: Set<number>;
  /** Rows with their new `indexed` version. */
  indexed: RecordRow[];
  /** Versions whose chunks no row is found by any longer. */
  drop: RecordVersion[];
}

/**
 * Decides which queued versions become searchable: the fence between the index and the ledger. A version is published
 * only if a row of its record still has it, either the current row or one that an open run has staged. It replaces the
 * version by which the row was found before. Staged rows whose own text is not indexed yet follow the current row, so
 * that applying a refresh never brings an older text back. The chunks of a version that no row is found by are dropped.
 *
 * @param entries the versions to settle, whose chunks are ready
 * @param rows the rows of their records, read in this transaction
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
