import { ApiError, validationError } from "@tidemark/protocol/errors";
import { LIMITS } from "@tidemark/protocol/limits";
import type { SyncChanges, SyncResults } from "@tidemark/protocol/sync";
import type { LedgerTransaction, Storage } from "../storage/port.ts";
import { type Answer, answerTo, historyOf } from "./answer.ts";
import { readBefore } from "./before.ts";
import { newPlan } from "./plan.ts";
import { planIncremental } from "./plan-incremental.ts";
import type { Sync } from "./read-sync-request.ts";
import { applyRefresh } from "./refresh.ts";
import { refuseRemovals } from "./removal-limit.ts";
import type { SyncContext } from "./sync-context.ts";

export interface AppliedSync {
  json: string;
  /** True if the answer is the saved one of an earlier request. */
  replayed: boolean;
  /** False for a dry run and for a replayed answer. */
  executed: boolean;
  results: SyncResults;
  changes: SyncChanges;
}

/**
 * Applies a sync in one durable transaction, or changes nothing.
 * @throws ApiError VALIDATION_ERROR (a timestamp in the future), STALE_SYNC, INCOMPLETE_REFRESH,
 *   REMOVAL_LIMIT_EXCEEDED, IDEMPOTENCY_KEY_REUSED, INSUFFICIENT_PERMISSIONS (the store was deleted),
 *   SERVICE_UNAVAILABLE
 */
export async function applySync(storage: Storage, sync: Sync, context: SyncContext): Promise<AppliedSync> {
  refuseFuture(sync, context.now);
  try {
    return await storage.ledger(sync.storeId, (tx) => applyIn(tx, sync, context));
  } catch (error) {
    if (error instanceof DryRun) return error.planned;
    throw error;
  }
}

/** Thrown to roll a dry run's transaction back. */
class DryRun extends Error {
  readonly planned: AppliedSync;
  constructor(planned: AppliedSync) {
    super("dry run");
    this.planned = planned;
  }
}

async function applyIn(tx: LedgerTransaction, sync: Sync, context: SyncContext): Promise<AppliedSync> {
  if (!(await tx.storeExists())) throw new ApiError("INSUFFICIENT_PERMISSIONS");
  const idempotency = sync.dryRun ? null : context.idempotency;
  if (idempotency) {
    const since = context.now - LIMITS.answerKeptMs;
    const saved = await tx.findAnswer(context.connectorId, idempotency.key, since);
    if (saved && saved.body !== idempotency.body) throw new ApiError("IDEMPOTENCY_KEY_REUSED");
    if (saved) return replay(saved.answer);
  }
  const applied =
    sync.mode === "full_refresh"
      ? await applyRefresh(tx, sync, context)
      : await applyIncremental(tx, sync, context);
  if ("replay" in applied) return replay(applied.replay);
  const { json, response } = applied;
  const result: AppliedSync = {
    json,
    replayed: false,
    executed: !sync.dryRun,
    results: response.results,
    changes: response.changes,
  };
  if (sync.dryRun) throw new DryRun(result);
  await tx.saveSync(historyOf(applied, sync, context));
  if (idempotency)
    await tx.saveAnswer(context.connectorId, idempotency.key, idempotency.body, json, context.now);
  return result;
}

function replay(json: string): AppliedSync {
  const { results, changes } = JSON.parse(json) as { results: SyncResults; changes: SyncChanges };
  return { json, replayed: true, executed: false, results, changes };
}

async function applyIncremental(tx: LedgerTransaction, sync: Sync, context: SyncContext): Promise<Answer> {
  const before = await readBefore(tx, sync.namespaces, sync.operations);
  const plan = newPlan(await tx.nextRevision(), context.now, sync.dryRun);
  const removals = before.map((namespace) => planIncremental(plan, namespace, sync.timestamp));
  refuseRemovals(sync.removalLimit, removals);
  await tx.write(plan.writes, context.now);
  return answerTo(sync, plan, context, sync.namespaces);
}

/** Rejects timestamps far in the future, which would make every later sync stale. */
function refuseFuture(sync: Sync, now: number): void {
  if (sync.timestamp <= BigInt(now + LIMITS.futureMs) * 1_000_000n) return;
  throw validationError(
    [
      {
        field: "sync_timestamp",
        code: "IN_THE_FUTURE",
        message: `Is more than ${LIMITS.futureMs / 60_000} minutes ahead of the server's clock.`,
      },
    ],
    { server_time: new Date(now).toISOString() },
  );
}
