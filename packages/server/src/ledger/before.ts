import type { LedgerTransaction, NamespaceState, RecordRow, RunNamespace } from "../storage/port.ts";
import type { Operation } from "./operation.ts";

/** What the ledger says of a namespace before a sync, as far as the sync needs it. */
export interface NamespaceBefore {
  state: NamespaceState;
  /** The operations of the sync in this namespace. */
  operations: Operation[];
  /** The current row of each id that they name. */
  rows: Map<string, RecordRow>;
  /** What open runs hold ready for this namespace, and their rows of those ids. */
  runs: RunNamespace[];
  staged: Map<string, RecordRow[]>;
}

/** Locks the namespaces and reads what a sync needs of them. */
export async function readBefore(
  tx: LedgerTransaction,
  names: string[],
  operations: Operation[],
): Promise<NamespaceBefore[]> {
  const states = await tx.lockNamespaces(names);
  const runs = Map.groupBy(await tx.openRuns(names), ({ namespace }) => namespace);
  const byNamespace = Map.groupBy(operations, ({ namespace }) => namespace);
  const before: NamespaceBefore[] = [];
  for (const state of states) {
    const mine = byNamespace.get(state.namespace) ?? [];
    const ids = [...new Set(mine.map(({ id }) => id))];
    const rows = ids.length > 0 ? await tx.currentRows(state, ids) : [];
    const openRuns = runs.get(state.namespace) ?? [];
    const generations = openRuns.map(({ generation }) => generation);
    const staged =
      ids.length > 0 && generations.length > 0 ? await tx.rowsOf(state.namespace, generations, ids) : [];
    before.push({
      state,
      operations: mine,
      rows: new Map(rows.map((row) => [row.id, row])),
      runs: openRuns,
      staged: Map.groupBy(staged, ({ id }) => id),
    });
  }
  return before;
}
