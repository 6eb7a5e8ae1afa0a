import { ApiError } from "@tidemark/protocol/errors";
import { formatDateTime } from "@tidemark/protocol/timestamps";
import type { NamespaceState, RecordRow, RecordSum, RunNamespace } from "../storage/port.ts";
import { belongsTo } from "../storage/visibility.ts";
import type { NamespaceBefore } from "./before.ts";
import { carryRow, release, takeBack } from "./carry.ts";
import { changeOf, decidedBy, isLive, judge, lastOfEach } from "./order.ts";
import { add, addContent, dropUnused, laterOf, type Plan, recordRow, sample, subtract } from "./plan.ts";
import type { Removal } from "./removal-limit.ts";
import { RUN_TABLE } from "./run-states.ts";

/** @throws ApiError STALE_SYNC if a newer sync refreshed one of the namespaces */
export function refuseStaleRefresh(timestamp: bigint, states: NamespaceState[]): void {
  const newer = states.filter(({ refreshedAt }) => timestamp < refreshedAt);
  if (newer.length === 0) return;
  throw new ApiError("STALE_SYNC", {
    sync_timestamp: formatDateTime(timestamp),
    namespaces: newer.map(({ namespace, refreshedAt }) => ({
      namespace,
      last_refresh_at: formatDateTime(refreshedAt),
    })),
  });
}

/** Begins a run in a namespace, with the next unused generation, which it takes from `state`. */
export function beginRun(
  runId: string,
  timestamp: bigint,
  state: NamespaceState,
  newer: RecordSum,
): RunNamespace {
  const generation = state.nextGeneration++;
  return {
    runId,
    namespace: state.namespace,
    timestamp,
    generation,
    upserts: { records: 0, digest: 0n },
    newer,
    tallies: { created: 0, updated: 0, unchanged: 0, removed: 0, absent: 0, stale: 0, superseded: 0 },
    recount: false,
  };
}

/**
 * Stages the operations of a part; readers see no change until the flip.
 * @param stale ids of stale operations of the run's earlier parts
 */
export function stageOperations(
  plan: Plan,
  before: NamespaceBefore,
  run: RunNamespace,
  stale: Set<string>,
): void {
  const { operations, rows, state } = before;
  const last = lastOfEach(operations);
  run.tallies.superseded += operations.length - last.length;
  for (const operation of last) {
    const { namespace, id, fingerprint } = operation;
    const row = rows.get(id);
    const { change, content } = judge(operation, row, state, run.timestamp);
    sample(plan, change, id);
    run.tallies[change]++;

    // If two parts name one record, the later part decides. The earlier one left a staged row or a stale exception.
    const staged = before.staged.get(id) ?? [];
    const earlier = staged.find((stagedRow) => belongsTo(stagedRow, run.generation));
    if (earlier || stale.has(id)) {
      run.tallies[earlier ? changeOf(earlier, row) : "stale"]--;
      run.tallies.superseded++;
    }
    if (earlier && isLive(earlier)) subtract(run.upserts, earlier.hash);
    let stagedRow: RecordRow | undefined;
    if (change === "stale")
      plan.writes.runExceptions.push({ runId: run.runId, namespace, id, kind: "stale" });
    else if (change === "unchanged") stagedRow = carryRow(plan, before, row!, run.generation, fingerprint);
    else {
      const written = content && { version: addContent(plan, namespace, id, content), hash: content.hash };
      stagedRow = recordRow(plan, operation, run.generation, null, written ?? null, row);
      plan.writes.rows.push(stagedRow);
    }
    if (stagedRow && isLive(stagedRow)) add(run.upserts, stagedRow.hash);
    if (!earlier) continue;
    if (earlier !== row) {
      const left = takeBack(plan, earlier, [run.generation], before.runs);
      const others = staged.filter((other) => other !== earlier);
      dropUnused(plan, namespace, id, [earlier], [row, stagedRow, left, ...others]);
    } else if (stagedRow !== row) plan.writes.rows.push(release(row, [run.generation]));
  }
}

/**
 * Plans the flip of a namespace: one update of its row makes the run's rows current, however many there are.
 * @param kept the protected rows: current rows of live records that failed operations of the run name
 */
export function planFlip(
  plan: Plan,
  before: NamespaceBefore,
  run: RunNamespace,
  protectedRows: RecordRow[],
): Removal {
  const { state } = before;
  const { tallies, newer, upserts } = run;
  const carried = protectedRows.filter((row) => isLive(row) && decidedBy(row, state) <= run.timestamp);
  const named = tallies.updated + tallies.unchanged + tallies.removed;
  const cleared = state.records - newer.records - named - carried.length;
  const after: NamespaceState = {
    ...state,
    generation: run.generation,
    refreshedAt: run.timestamp,
    newestAt: laterOf(state.newestAt, run.timestamp),
    records: upserts.records + newer.records,
    digest: BigInt.asUintN(256, upserts.digest + newer.digest),
  };
  for (const row of carried) {
    add(after, row.hash!);
    carryRow(plan, before, row, run.generation, row.fingerprint);
  }
  for (const [name, count] of Object.entries(tallies)) plan.changes[name as keyof typeof tallies] += count;
  plan.changes.cleared += cleared;
  plan.writes.namespaces.push(after);
  // In a new namespace nothing has died, except for deletes that the run itself staged.
  const isNew = state.newestAt === 0n && tallies.absent === 0;
  if (!isNew) plan.writes.sweep.push(state.namespace);
  for (const openRun of before.runs) {
    if (openRun.runId === run.runId) continue;
    if (openRun.timestamp < run.timestamp) {
      plan.writes.endRuns.push({ runId: openRun.runId, state: RUN_TABLE.open.newer_refresh });
    } else plan.writes.runNamespaces.push({ ...openRun, recount: true });
  }
  return { namespace: state.namespace, records: state.records, removed: tallies.removed, cleared };
}
