import { ApiError, validationError } from "@tidemark/protocol/errors";
import { LIMITS } from "@tidemark/protocol/limits";
import type { SyncResponse } from "@tidemark/protocol/sync";
import type { LedgerTransaction, Storage } from "../storage/port.ts";
import { type NamespaceBefore, planSync, type SyncPlan } from "./plan-sync.ts";
import type { Sync } from "./read-sync-request.ts";

/**
 * Applies a sync in one durable transaction, or changes nothing.
 *
 * @param syncId the id it will be known by
 * @param now the server's clock, ms since 1970
 * @returns the answer, but for `processing_time_ms`
 * @throws ApiError VALIDATION_ERROR (a timestamp in the future), STALE_SYNC, INSUFFICIENT_PERMISSIONS (the store was
 *   deleted), SERVICE_UNAVAILABLE
 */
export async function applySync(
  storage: Storage,
  sync: Sync,
  { syncId, now }: { syncId: string; now: number },
): Promise<Omit<SyncResponse, "processing_time_ms">> {
  refuseFuture(sync, now);
  const plan = await storage.ledger(sync.storeId, async (tx) => {
    if (!(await tx.storeExists())) throw new ApiError("INSUFFICIENT_PERMISSIONS");
    const before = await readBefore(tx, sync);
    const plan = planSync(sync, before, await tx.nextRevision(), now);
    await tx.write(plan.writes, now);
    return plan;
  });
  return answer(sync, plan, syncId);
}

/** A timestamp far in the future would shut out every later sync. */
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

async function readBefore(tx: LedgerTransaction, sync: Sync): Promise<NamespaceBefore[]> {
  const ids = Map.groupBy(sync.operations, ({ namespace }) => namespace);
  const before: NamespaceBefore[] = [];
  for (const state of await tx.lockNamespaces(sync.namespaces)) {
    const named = [...new Set(ids.get(state.namespace)?.map(({ id }) => id))];
    const rows = named.length > 0 ? await tx.currentRows(state, named) : [];
    const mayHaveNewer = sync.mode === "full_refresh" && state.newestAt > sync.timestamp;
    const newer = mayHaveNewer ? await tx.decidedAfter(state, sync.timestamp) : { records: 0, digest: 0n };
    before.push({ state, rows, newer });
  }
  return before;
}

function answer(sync: Sync, plan: SyncPlan, syncId: string): Omit<SyncResponse, "processing_time_ms"> {
  const response: Omit<SyncResponse, "processing_time_ms"> = {
    status: "success",
    sync_id: syncId,
    processed: sync.operations.length,
    results: plan.results,
    by_namespace: Object.fromEntries(plan.byNamespace),
    changes: plan.changes,
  };
  if (sync.mode === "full_refresh" && sync.namespaces.length === 0) {
    response.warnings = [
      "This full refresh affected no namespace: it named none in operations and none in namespaces. To empty a namespace, name it in namespaces.",
    ];
  }
  return response;
}
