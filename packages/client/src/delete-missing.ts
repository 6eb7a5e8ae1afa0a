import { formatDigest } from "@tidemark/protocol/digest";
import { cutBatches } from "./batches.ts";
import { everyItem } from "./lists.ts";
import type { SourceRecord } from "./record.ts";
import { refusalOf } from "./removal-limit.ts";
import type { SyncRun } from "./run.ts";

/**
 * Deletes what the namespaces of a run hold besides its records.
 * @throws TidemarkError REMOVAL_LIMIT_EXCEEDED before the first delete, LISTING_OUTDATED if a refresh came in between
 */
export async function deleteMissing(run: SyncRun): Promise<void> {
  run.progress("comparing");
  const { tidemark, namespaces, options } = run;
  // For those that no record named.
  for await (const { namespace, digest } of everyItem((page) => tidemark.listNamespaces(page, options))) {
    const state = namespaces.get(namespace);
    if (state) state.server ??= digest;
  }
  const missing: SourceRecord[] = [];
  for (const [namespace, { sum, server, ids }] of namespaces) {
    if (server === formatDigest(sum)) continue;
    const lost = { namespace, records: 0, removed: 0, cleared: 0 };
    for await (const { id } of everyItem((page) => tidemark.listRecords({ namespace, ...page }, options))) {
      lost.records++;
      if (ids.has(id)) continue;
      lost.removed++;
      missing.push({ action: "delete", namespace, id });
    }
    const refusal = refusalOf(options.removalLimit, lost);
    if (refusal && !run.dry) throw refusal;
    run.refusal ??= refusal;
  }
  for await (const batch of cutBatches(missing, undefined, options, () => {})) {
    await run.send("deleting", batch);
  }
}
