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
  const openRuns = Map.groupBy(await tx.openRuns(names), ({ namespace }) => namespace);
  const rows = Map.groupBy(await tx.rowsOf(named), ({ namespace }) => namespace);
  return states.map((state) => {
    const runs = openRuns.get(state.namespace) ?? [];
    const { current, staged } = splitRows(rows.get(state.namespace) ?? [], runs);
    return {
      state,
      operations: byNamespace.get(state.namespace) ?? [],
      rows: new Map(current.map((row) => [row.id, row])),
      runs,
      staged: Map.groupBy(staged, ({ id }) => id),
    };
  });
}

/** Tells a namespace's current rows from those that its open runs hold ready. */
export function splitRows(
  rows: RecordRow[],
  runs: RunNamespace[],
): { current: RecordRow[]; staged: RecordRow[] } {
  if (runs.length === 0) return { current: rows, staged: [] };
  const generations = new Set(runs.map(({ generation }) => generation));
  const { current = [], staged = [] } = Object.groupBy(rows, ({ generation }) =>
    generations.has(generation) ? "staged" : "current",
  );
  return { current, staged };
}
