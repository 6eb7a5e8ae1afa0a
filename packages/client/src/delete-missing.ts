import { formatDigest } from "@tidemark/protocol/digest";
import { toBatches } from "./batches.ts";
import { everyItem } from "./lists.ts";
import type { SourceRecord } from "./record.ts";
import { refusalOf } from "./removal-limit.ts";
import { type SyncRun, sendBatch, tellProgress } from "./run.ts";

/**
 * Deletes the records of the run's namespaces that the run did not send.
 * @throws TidemarkError REMOVAL_LIMIT_EXCEEDED before the first delete, or LISTING_OUTDATED after a full refresh
 */
export async function deleteMissing(run: SyncRun): Promise<void> {
  tellProgress(run, "comparing");
  const { tidemark, options } = run;
  const missing: SourceRecord[] = [];
  for (const [namespace, state] of run.namespaces) {
    if (state.server === formatDigest(state.sum)) continue;
    const lost = { namespace, records: 0, removed: 0, cleared: 0 };
    for await (const { id } of everyItem((page) => tidemark.listRecords({ namespace, ...page }, options))) {
      lost.records++;
      if (state.ids.has(id)) continue;
      lost.removed++;
      missing.push({ action: "delete", namespace, id });
    }
    // No answer had the digest of a namespace without records.
    if (lost.records === 0) state.server = formatDigest(0n);
    const refusal = refusalOf(options.removalLimit, lost);
    if (refusal && !run.dry) throw refusal;
    run.refusal ??= refusal;
  }
  for await (const batch of toBatches(missing, undefined, options)) {
    await sendBatch(run, "deleting", batch);
  }
}
