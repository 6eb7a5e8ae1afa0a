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
  const byNamespace = Map.groupBy(operations, ({ namespace }) => namespace);
  const named = [...byNamespace].map(([namespace, mine]) => ({
    namespace,
    ids: [...new Set(mine.map(({ id }) => id))],
  }));
  const rows = Map.groupBy(await tx.currentRows(named), ({ namespace }) => namespace);
  const openRuns = await tx.openRuns(names);
  const runs = Map.groupBy(openRuns, ({ namespace }) => namespace);
  const stagedRows = openRuns.length > 0 ? await tx.stagedRows(named) : [];
  const staged = Map.groupBy(stagedRows, ({ namespace }) => namespace);
  return states.map((state) => ({
    state,
    operations: byNamespace.get(state.namespace) ?? [],
    rows: new Map(rows.get(state.namespace)?.map((row) => [row.id, row])),
    runs: runs.get(state.namespace) ?? [],
    staged: Map.groupBy(staged.get(state.namespace) ?? [], ({ id }) => id),
  }));
}
