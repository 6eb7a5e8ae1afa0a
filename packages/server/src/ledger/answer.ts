import { formatDigest } from "@tidemark/protocol/digest";
import { LIMITS } from "@tidemark/protocol/limits";
import type { RefreshProgress, SyncResponse, SyncResults } from "@tidemark/protocol/sync";
import type { SyncRow } from "../storage/port.ts";
import { noChanges, type Plan } from "./plan.ts";
import type { Sync } from "./read-sync-request.ts";
import type { SyncContext } from "./sync-context.ts";

/** The answer to a sync, with the JSON text that is sent and saved for replays. */
export interface Answer {
  response: SyncResponse;
  json: string;
  revision: number;
}

/**
 * Makes the answer to a planned sync.
 * @param affected every namespace that the sync touches, including those of the run's earlier parts
 */
export function answerTo(
  sync: Sync,
  plan: Plan,
  context: SyncContext,
  affected: string[],
  refresh?: RefreshProgress,
): Answer {
  const { results, byNamespace } = countResults(sync, affected);
  const staged = !sync.lastBatch;
  const response: SyncResponse = {
    status: staged ? "staged" : sync.dryRun ? "planned" : sync.failed.length > 0 ? "partial" : "success",
    sync_id: sync.dryRun ? null : context.syncId,
    processed: sync.operations.length + sync.failed.length,
    results,
    by_namespace: Object.fromEntries(byNamespace),
    processing_time_ms: Math.round(performance.now() - context.started),
    changes: staged ? noChanges() : plan.changes,
  };
  if (sync.failed.length > 0) {
    response.errors = sync.failed.slice(0, LIMITS.listedErrors).map(({ error }) => error);
    response.total_errors = sync.failed.length;
  }
  if (refresh) response.refresh = refresh;
  if (!staged && plan.writes.namespaces.length > 0) {
    response.digests = Object.fromEntries(
      plan.writes.namespaces.map(({ namespace, digest }) => [namespace, formatDigest(digest)]),
    );
  }
  if (plan.samples) response.samples = plan.samples;
  if (sync.mode === "full_refresh" && !staged && plan.writes.namespaces.length === 0) {
    response.warnings = [
      "This full refresh affected no namespace: it named none in operations and none in namespaces. To empty a namespace, name it in namespaces.",
    ];
  }
  return { response, json: JSON.stringify(response), revision: plan.revision };
}

/** Counts a request's operations by what they ask for. */
function countResults(
  sync: Sync,
  affected: string[],
): { results: SyncResults; byNamespace: Map<string, SyncResults> } {
  const none = (): SyncResults => ({ upserted: 0, deleted: 0, failed: 0 });
  const results = none();
  const byNamespace = new Map(affected.map((name) => [name, none()]));
  for (const { action, namespace } of sync.operations) {
    const counter = action === "upsert" ? "upserted" : "deleted";
    results[counter]++;
    byNamespace.get(namespace)![counter]++;
  }
  for (const { namespace } of sync.failed) {
    results.failed++;
    if (namespace !== null) byNamespace.get(namespace)!.failed++;
  }
  return { results, byNamespace };
}

/** The sync's row of history. */
export function historyOf({ response, revision }: Answer, sync: Sync, context: SyncContext): SyncRow {
  return {
    revision,
    syncId: context.syncId,
    connectorId: context.connectorId,
    mode: sync.mode,
    status: response.status,
    timestamp: sync.timestamp,
    refreshId: sync.refreshId,
    receivedAt: context.now,
    durationMs: response.processing_time_ms,
    traceId: context.traceId,
    results: JSON.stringify(response.results),
    byNamespace: JSON.stringify(response.by_namespace),
    changes: JSON.stringify(response.changes),
  };
}
