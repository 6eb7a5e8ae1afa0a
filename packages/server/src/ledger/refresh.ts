import { hash } from "node:crypto";
import { ApiError, validationError } from "@tidemark/protocol/errors";
import { LIMITS } from "@tidemark/protocol/limits";
import { SAMPLED } from "@tidemark/protocol/sync";
import { formatDateTime } from "@tidemark/protocol/timestamps";
import type { EndState, LedgerTransaction, RecordRow, RefreshRun, RunNamespace } from "../storage/port.ts";
import { belongsTo } from "../storage/visibility.ts";
import { type Answer, answerTo } from "./answer.ts";
import { type NamespaceBefore, readBefore, splitRows } from "./before.ts";
import { isLive } from "./order.ts";
import { newPlan, type Plan, sample } from "./plan.ts";
import { beginRun, planFlip, refuseStaleRefresh, stageOperations } from "./plan-refresh.ts";
import type { Sync } from "./read-sync-request.ts";
import { refuseRemovals } from "./removal-limit.ts";
import { RUN_TABLE, type RunEvent } from "./run-states.ts";
import type { SyncContext } from "./sync-context.ts";

/** A namespace before a refresh, and what the run has staged for it. */
interface Staged {
  before: NamespaceBefore;
  run: RunNamespace;
}

/**
 * Applies one request of a full refresh. Every part is staged; the last batch, which may be the only one, then also
 * applies the run. So a refresh in one request and one in many take the same path.
 */
export async function applyRefresh(
  tx: LedgerTransaction,
  sync: Sync,
  context: SyncContext,
): Promise<Answer | { replay: string }> {
  const storedRun = await tx.runs.find(context.connectorId, sync.timestamp, sync.refreshId ?? "");
  const reaction = RUN_TABLE[storedRun?.state ?? "none"][requestOf(sync, storedRun)];
  if (reaction === "replayed") return { replay: storedRun!.answer! };
  if (reaction === "STALE_SYNC" || reaction === "INCOMPLETE_REFRESH") throw refusal(reaction, storedRun!);
  const open = storedRun?.state === "open" ? storedRun : undefined;
  const run = open ?? newRun(sync, context, storedRun?.runId);
  const names = open && sync.lastBatch ? await tx.runs.namespacesOf(open.runId) : [];
  const affected = [...new Set([...names, ...sync.namespaces])].sort();
  const before = await readBefore(tx, affected, sync.operations, open?.runId);
  refuseStaleRefresh(
    sync.timestamp,
    before.map(({ state }) => state),
  );

  const plan = newPlan(await tx.nextRevision(), context.now, sync.dryRun);
  const isStagedRun = open !== undefined || !sync.lastBatch;
  const part = isStagedRun ? hashOfPart(sync, before) : null;
  const repeated = open !== undefined && part !== null && (await tx.runs.hasPart(open.runId, part));
  const staged: Staged[] = [];
  for (const namespace of before) staged.push(await stage(tx, plan, run, namespace, repeated));
  if (!repeated) {
    run.operations += sync.operations.length + sync.failed.length;
    run.failed += sync.failed.length;
    run.batches++;
    if (part !== null) plan.writes.parts.push({ runId: run.runId, part });
  }
  run.lastPartAt = context.now;
  if (run.failed > LIMITS.protectedRecords) {
    const message = `The run has more than ${LIMITS.protectedRecords} invalid operations.`;
    throw validationError([{ field: "operations", code: "TOO_MANY_FAILED", message }]);
  }
  const refresh = isStagedRun
    ? { refresh_id: sync.refreshId, operations: run.operations, batches: run.batches }
    : undefined;

  if (!sync.lastBatch) {
    saveStaged(plan, sync, run, staged);
    await tx.write(plan.writes, context.now);
    return answerTo(sync, plan, context, affected, refresh);
  }
  refuseIncomplete(sync, run);
  const protectedByNamespace = await protectedRows(tx, sync, staged, open?.runId);
  const removals = [];
  for (const { before: namespace, run: stagedRun } of staged) {
    const rows = protectedByNamespace.get(stagedRun.namespace) ?? [];
    removals.push(planFlip(plan, namespace, stagedRun, rows));
    if (plan.samples) await sampleRun(tx, plan, namespace, stagedRun, rows);
  }
  refuseRemovals(sync.removalLimit, removals);
  const answer = answerTo(sync, plan, context, affected, refresh);
  // Of an applied run, only its own row stays.
  plan.writes.parts = [];
  plan.writes.runExceptions = [];
  if (open) {
    plan.writes.runs.push({ ...run, lastPart: lastBatchIdentity(sync, part!), answer: answer.json });
    plan.writes.endRuns.push({ runId: run.runId, state: "applied" });
  }
  await tx.write(plan.writes, context.now);
  return answer;
}

function requestOf(
  sync: Sync,
  run: RefreshRun | undefined,
): Extract<RunEvent, "part" | "last_batch" | "applied_last_batch"> {
  if (!sync.lastBatch) return "part";
  const isApplied =
    run?.state === "applied" &&
    !sync.dryRun &&
    lastBatchIdentity(sync, hashOfPart(sync, [])) === run.lastPart;
  return isApplied ? "applied_last_batch" : "last_batch";
}

/** The error for a request to a run that is over. */
function refusal(code: "STALE_SYNC" | "INCOMPLETE_REFRESH", run: RefreshRun): ApiError {
  const reasons: Record<EndState, string> = {
    applied: "This refresh was already applied.",
    ended: "A newer full refresh ended this one.",
    expired: "This refresh expired, and its parts were forgotten.",
  };
  const details = { sync_timestamp: formatDateTime(run.timestamp), refresh_id: run.refreshId || null };
  return new ApiError(code, details, reasons[run.state as EndState]);
}

/** @param earlierRunId id of an expired run with the same identity, whose row is reused */
function newRun(sync: Sync, { connectorId, now, runId }: SyncContext, earlierRunId?: string): RefreshRun {
  return {
    runId: earlierRunId ?? runId,
    connectorId,
    timestamp: sync.timestamp,
    refreshId: sync.refreshId ?? "",
    state: "open",
    operations: 0,
    failed: 0,
    batches: 0,
    startedAt: now,
    lastPartAt: now,
    lastPart: null,
    answer: null,
  };
}

async function stage(
  tx: LedgerTransaction,
  plan: Plan,
  { runId, timestamp }: RefreshRun,
  before: NamespaceBefore,
  repeated: boolean,
): Promise<Staged> {
  const { state } = before;
  let run = before.runs.find((candidate) => candidate.runId === runId);
  if (!run) {
    const mayHaveNewer = state.newestAt > timestamp;
    const newer = mayHaveNewer ? await tx.decidedAfter(state, timestamp) : { records: 0, digest: 0n };
    run = beginRun(runId, timestamp, state, newer);
  }
  if (!repeated) {
    const ids = before.operations.map(({ id }) => id);
    const mayBeStale = run.tallies.stale > 0 && ids.length > 0;
    const stale = mayBeStale ? await tx.runs.staleIds(runId, state.namespace, ids) : [];
    stageOperations(plan, before, run, new Set(stale));
  }
  return { before, run };
}

/** Plans the writes of a part that does not apply its run: the run's state and figures, besides the staged rows. */
function saveStaged(plan: Plan, sync: Sync, run: RefreshRun, staged: Staged[]): void {
  plan.writes.runs.push(run);
  for (const { before, run: stagedRun } of staged) {
    plan.writes.namespaces.push(before.state);
    plan.writes.runNamespaces.push(stagedRun);
  }
  for (const { namespace, id } of sync.failed) {
    plan.writes.runExceptions.push({ runId: run.runId, namespace: namespace!, id: id!, kind: "failed" });
  }
}

/** @throws ApiError INCOMPLETE_REFRESH if the run's operations are not as many as the caller expects */
function refuseIncomplete({ expectedOperations }: Sync, { operations, batches }: RefreshRun): void {
  if (expectedOperations === null || expectedOperations === operations) return;
  throw new ApiError("INCOMPLETE_REFRESH", {
    expected_operations: expectedOperations,
    received_operations: operations,
    received_batches: batches,
  });
}

/** The current rows, by namespace, of records that only failed operations of the run name. */
async function protectedRows(
  tx: LedgerTransaction,
  sync: Sync,
  staged: Staged[],
  openRunId: string | undefined,
): Promise<Map<string, RecordRow[]>> {
  const failed = [...(openRunId === undefined ? [] : await tx.runs.failedRecords(openRunId)), ...sync.failed];
  if (failed.length === 0) return new Map();
  const byNamespace = Map.groupBy(failed, ({ namespace }) => namespace);
  const named = staged.map(({ before: { state, operations } }) => {
    const ids = new Set(byNamespace.get(state.namespace)?.map(({ id }) => id!));
    for (const { id } of operations) ids.delete(id);
    return { namespace: state.namespace, ids: [...ids] };
  });
  const rows = Map.groupBy(await tx.rowsOf(named), ({ namespace }) => namespace);
  return new Map(
    staged.map(({ before, run }) => {
      const { current, staged: stagedRows } = splitRows(
        rows.get(run.namespace) ?? [],
        before.state,
        before.runs,
      );
      const valid = new Set(stagedRows.filter((row) => belongsTo(row, run.generation)).map(({ id }) => id));
      return [run.namespace, current.filter((row) => isLive(row) && !valid.has(row.id))];
    }),
  );
}

/** Adds to a dry run's examples: records that earlier parts change, and records that the refresh would clear. */
async function sampleRun(
  tx: LedgerTransaction,
  plan: Plan,
  before: NamespaceBefore,
  run: RunNamespace,
  protectedRows: RecordRow[],
): Promise<void> {
  const inRequest = new Set(before.operations.map(({ id }) => id));
  for (const kind of SAMPLED) {
    if (plan.samples![kind].length >= LIMITS.sampleIds) continue;
    const named = [...inRequest, ...protectedRows.map(({ id }) => id)];
    const ids =
      kind === "cleared"
        ? await tx.clearedSample(before.state, run, named, LIMITS.sampleIds)
        : await tx.runs.sample(run, kind, [...inRequest], LIMITS.sampleIds);
    for (const id of ids) sample(plan, kind, id);
  }
}

/** Equal for two last batches with the same operations and affected namespaces. */
function lastBatchIdentity({ namespaces }: Sync, part: string): string {
  return hash("sha256", JSON.stringify([part, namespaces]), "hex");
}

/** Equal for two parts with equal operations in the same order. */
function hashOfPart(sync: Sync, before: NamespaceBefore[]): string {
  const rows = new Map(before.map(({ state, rows }) => [state.namespace, rows]));
  const lines = sync.operations.map((operation) => {
    const { action, namespace, id, fingerprint } = operation;
    if (action === "delete") return JSON.stringify([namespace, id]);
    const row = rows.get(namespace)?.get(id);
    const known = isLive(row) && fingerprint !== null && row.fingerprint === fingerprint;
    // The hash of a content covers the id too.
    return (known ? row.hash : operation.content().hash) + JSON.stringify(namespace);
  });
  const failed = sync.failed.map(({ namespace, id }) => [namespace, id]);
  return hash("sha256", `${lines.join("\n")}\n${JSON.stringify(failed)}`, "hex");
}
