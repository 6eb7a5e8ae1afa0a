import type { NamespaceState, RecordRow } from "../storage/port.ts";
import { belongsTo } from "../storage/visibility.ts";
import type { NamespaceBefore } from "./before.ts";
import { ownRow, release, takeBack } from "./carry.ts";
import type { Operation } from "./operation.ts";
import { changeOf, decidedBy, isLive, judge, lastOfEach } from "./order.ts";
import { add, addContent, dropUnused, type Plan, recordRow, sample, subtract, withNewest } from "./plan.ts";
import type { Removal } from "./removal-limit.ts";

/** Decides what an incremental sync changes in one namespace. */
export function planIncremental(plan: Plan, before: NamespaceBefore, timestamp: bigint): Removal {
  const removedBefore = plan.changes.removed;
  const { operations, rows } = before;
  const last = lastOfEach(operations);
  plan.changes.superseded += operations.length - last.length;
  const state = withNewest(before.state, timestamp);
  const older = before.runs.filter((run) => run.timestamp < timestamp);
  const gone = older.map(({ generation }) => generation);
  for (const operation of last) {
    const row = rows.get(operation.id);
    const after = planOperation(plan, operation, row, state, timestamp, gone);
    if (after === row) continue;
    const staged = before.staged.get(operation.id) ?? [];
    const kept = adjustRuns(plan, before, row, after!, staged);
    dropUnused(plan, state.namespace, operation.id, [row, ...staged], [after, ...kept]);
  }
  plan.writes.namespaces.push(state);
  plan.writes.runNamespaces.push(...before.runs);
  return {
    namespace: state.namespace,
    records: before.state.records,
    removed: plan.changes.removed - removedBefore,
    cleared: 0,
  };
}

/**
 * The record's row after an operation; the same object as `row` if nothing is written.
 * @param gone generations of older open runs, which must not carry a row that this newer sync decides
 */
function planOperation(
  plan: Plan,
  operation: Operation,
  row: RecordRow | undefined,
  state: NamespaceState,
  timestamp: bigint,
  gone: number[],
): RecordRow | undefined {
  const { namespace, id, fingerprint } = operation;
  const { change, content } = judge(operation, row, state, timestamp);
  plan.changes[change]++;
  sample(plan, change, id);
  if (change === "stale") return row;
  if (change === "unchanged") {
    if (timestamp === decidedBy(row, state)) return row;
    const left = release(row!, gone);
    const after = { ...left, decidedAt: timestamp, fingerprint };
    if (left === row && fingerprint === row.fingerprint) touch(plan, after, timestamp);
    else plan.writes.rows.push(after);
    return after;
  }
  if (isLive(row)) subtract(state, row.hash);
  if (content) add(state, content.hash);
  const written = content && { version: addContent(plan, namespace, id, content), hash: content.hash };
  const after = recordRow(plan, operation, state.generation, timestamp, written ?? null, row);
  plan.writes.rows.push(after);
  if (row && row.generation !== after.generation) plan.writes.dropRows.push(row);
  return after;
}

function touch(plan: Plan, { namespace, id, generation }: RecordRow, decidedAt: bigint): void {
  const last = plan.writes.touch.at(-1);
  if (last?.namespace === namespace && last.generation === generation) last.ids.push(id);
  else plan.writes.touch.push({ namespace, ids: [id], generation, decidedAt });
}

/**
 * Updates the open runs for a record that changed: a run older than the change loses its row of the record, and for a
 * newer run the change that its row would make is counted again.
 * @returns the runs' rows of the record that stay
 */
function adjustRuns(
  plan: Plan,
  before: NamespaceBefore,
  row: RecordRow | undefined,
  after: RecordRow,
  staged: RecordRow[],
): RecordRow[] {
  const decidedBefore = decidedBy(row, before.state);
  const decidedAfter = decidedBy(after, before.state);
  const remaining: RecordRow[] = [];
  const gone: number[] = [];
  for (const run of before.runs) {
    if (isLive(row) && decidedBefore > run.timestamp) subtract(run.newer, row.hash);
    if (isLive(after) && decidedAfter > run.timestamp) add(run.newer, after.hash);
    const stagedRow = staged.find((other) => belongsTo(other, run.generation));
    if (!stagedRow) continue;
    run.tallies[changeOf(stagedRow, row)]--;
    if (decidedAfter > run.timestamp) {
      run.tallies.stale++;
      const { namespace, id } = stagedRow;
      plan.writes.runExceptions.push({ runId: run.runId, namespace, id, kind: "stale" });
      if (isLive(stagedRow)) subtract(run.upserts, stagedRow.hash);
      gone.push(run.generation);
    } else {
      const change = changeOf(stagedRow, after);
      run.tallies[change]++;
      // Equal contents are stored once.
      const isShared = change === "unchanged" && stagedRow.version !== after.version;
      const indexed = isLive(after) || stagedRow.indexed === stagedRow.version ? stagedRow.indexed : null;
      const adjusted = isShared
        ? { ...stagedRow, version: after.version, indexed: after.indexed }
        : indexed === stagedRow.indexed
          ? stagedRow
          : { ...stagedRow, indexed };
      const isSame =
        adjusted === stagedRow && belongsTo(stagedRow === row ? after : stagedRow, run.generation);
      // Other generations may share the run's row, so a row that differs from theirs is a copy.
      const stays = isSame ? stagedRow : ownRow(adjusted, run.generation);
      if (!isSame) {
        plan.writes.rows.push(stays);
        if (stagedRow.generation !== run.generation) gone.push(run.generation);
      }
      remaining.push(stays);
    }
  }
  for (const rowOfRun of staged) if (rowOfRun !== row) takeBack(plan, rowOfRun, gone, before.runs);
  return remaining;
}
