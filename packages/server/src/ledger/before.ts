import type { LedgerTransaction, NamespaceState, RecordRow, RunNamespace } from "../storage/port.ts";
import { belongsTo, isCurrent } from "../storage/visibility.ts";
import type { Operation } from "./operation.ts";

/** What the ledger says of a namespace before a sync, as far as the sync needs it. */
export interface NamespaceBefore {
  state: NamespaceState;
  /** The operations of the sync in this namespace. */
  operations: Operation[];
  /** The current row of each id that they name. */
  rows: Map<string, RecordRow>;
  /** The open runs of this namespace, and their staged rows of those ids: carried rows are current ones too. */
  runs: RunNamespace[];
  staged: Map<string, RecordRow[]>;
}

/**
 * Locks the namespaces and reads what a sync needs of them.
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
  const named = [...byNamespace].map(([namespace, mine]) => ({
    namespace,
    ids: [...new Set(mine.map(({ id }) => id))],
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

/** Tells a namespace's current rows from those that its open runs have staged; a row that is carried may be both. */
export function splitRows(
  rows: RecordRow[],
  state: NamespaceState,
  runs: RunNamespace[],
): { current: RecordRow[]; staged: RecordRow[] } {
  const isReady = (row: RecordRow) => runs.some(({ generation }) => belongsTo(row, generation));
  return {
    current: rows.filter((row) => isCurrent(row, state)),
    staged: runs.length === 0 ? [] : rows.filter(isReady),
  };
}
