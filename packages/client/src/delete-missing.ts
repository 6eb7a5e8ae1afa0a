import { formatDigest } from "@tidemark/protocol/digest";
import { cutBatches } from "./batches.ts";
import { everyItem } from "./lists.ts";
import type { SourceRecord } from "./record.ts";
import { refusalOf } from "./removal-limit.ts";
import { type SyncRun, sendBatch, tellProgress } from "./run.ts";

/**
 * Deletes what the namespaces of a run hold besides its records.
 * @throws TidemarkError REMOVAL_LIMIT_EXCEEDED before the first delete, LISTING_OUTDATED if a refresh came in between
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
    // Of a namespace that no record named, no answer told the digest.
    if (lost.records === 0) state.server = formatDigest(0n);
    const refusal = refusalOf(options.removalLimit, lost);
    if (refusal && !run.dry) throw refusal;
    run.refusal ??= refusal;
  }
  for await (const batch of cutBatches(missing, undefined, options)) {
    await sendBatch(run, "deleting", batch);
  }
}
