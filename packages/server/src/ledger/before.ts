import type { LedgerTransaction, NamespaceState, RecordRow, RunNamespace } from "../storage/port.ts";
import { belongsTo, isCurrent } from "../storage/visibility.ts";
import type { Operation } from "./operation.ts";

/** What a sync needs to know of a namespace before it changes anything. */
export interface NamespaceBefore {
  state: NamespaceState;
  /** The operations of the sync in this namespace. */
  operations: Operation[];
  /** The current row of each id that the operations name. */
  rows: Map<string, RecordRow>;
  /** What open runs have staged for this namespace. */
  runs: RunNamespace[];
  /** The open runs' rows of those ids, including current rows that a run carries. */
  staged: Map<string, RecordRow[]>;
}

/**
 * Reads what a sync needs to know of its namespaces.
 * @param runId the open run that the sync belongs to
 */
export async function readBefore(
  tx: LedgerTransaction,
  names: string[],
  operations: Operation[],
  runId?: string,
): Promise<NamespaceBefore[]> {
  const states = await tx.readNamespaces(names);
  const byNamespace = Map.groupBy(operations, ({ namespace }) => namespace);
  const named = [...byNamespace].map(([namespace, inNamespace]) => ({
    namespace,
    ids: [...new Set(inNamespace.map(({ id }) => id))],
  }));
  const open = await tx.runs.openIn(names);
  for (const run of open) {
    if (run.runId !== runId || !run.recount) continue;
    Object.assign(run.tallies, await tx.runs.recount(run));
    run.recount = false;
  }
  const openRuns = Map.groupBy(open, ({ namespace }) => namespace);
  const rows = Map.groupBy(await tx.rowsOf(named), ({ namespace }) => namespace);
  return states.map((state) => {
    const runs = openRuns.get(state.namespace) ?? [];
    const { current, staged } = splitRows(rows.get(state.namespace) ?? [], state, runs);
    return {
      state,
      operations: byNamespace.get(state.namespace) ?? [],
      rows: new Map(current.map((row) => [row.id, row])),
      runs,
      staged: Map.groupBy(staged, ({ id }) => id),
    };
  });
}

/** Splits rows of a namespace into current and staged ones. A current row that an open run carries is both. */
export function splitRows(
  rows: RecordRow[],
  state: NamespaceState,
  runs: RunNamespace[],
): { current: RecordRow[]; staged: RecordRow[] } {
  const isStaged = (row: RecordRow) => runs.some(({ generation }) => belongsTo(row, generation));
  return {
    current: rows.filter((row) => isCurrent(row, state)),
    staged: runs.length === 0 ? [] : rows.filter(isStaged),
  };
}
