import type { RecordVersion } from "../storage/index-port.ts";
import type { RecordRow } from "../storage/port.ts";

/** What publishing a batch changes, besides what it adds. */
export interface Publication {
  /** Versions whose passages search shall find now. */
  publish: Set<number>;
  /** Rows of records, as they are to be: found by another version. */
  indexed: RecordRow[];
  /** Versions whose passages nobody needs any more. */
  drop: RecordVersion[];
}

/**
 * Decides what becomes of queued versions: the fence between the index and the ledger. A version is published if a row
 * of its record has it, the current one or one that an open run holds ready, whatever happened since it was queued; the
 * record is then no longer found by what it was found by before. Rows that wait for their own text are found by what
 * the current one is, so that no refresh that is applied takes a record back. Passages of a version that no row is
 * found by go.
 *
 * @param entries versions to be settled, whose passages are ready
 * @param rows the rows of their records that matter, as the ledger has them now
 */
export function planPublication(
  entries: RecordVersion[],
  rows: RecordRow[],
  isCurrent: (row: RecordRow) => boolean,
): Publication {
  const byRecord = Map.groupBy(rows, recordOf);
  const publish = new Set<number>();
  const changed = new Map<RecordRow, RecordRow>();
  const drop: RecordVersion[] = [];
  for (const entry of entries) {
    const { namespace, id, version } = entry;
    const mine = byRecord.get(recordOf(entry)) ?? [];
    const now = () => mine.map((row) => changed.get(row) ?? row);
    const isShown = mine.some((row) => row.version === version && isCurrent(row));
    for (const row of mine) {
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

const recordOf = ({ namespace, id }: Pick<RecordRow, "namespace" | "id">) =>
  `${namespace.length} ${namespace}${id}`;
