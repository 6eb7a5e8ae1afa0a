import type { Batch } from "./batches.ts";
import { TidemarkError } from "./errors.ts";
import type { SourceRecords } from "./record.ts";
import {
  DEFAULT_REMOVAL_LIMIT,
  isSmall,
  type RemovalLimit,
  sentLimit,
  UNLIMITED_RECORDS,
} from "./removal-limit.ts";
import { batchesOf, type SyncRun, sendBatch } from "./run.ts";

/**
 * Replaces namespaces: one request if the records fit, else every batch as a part and then an empty last batch, which
 * is cheap to repeat when it is refused.
 */
export async function refreshNamespaces(run: SyncRun, records: SourceRecords): Promise<void> {
  const { removalLimit } = run.options;
  const namespaces = [...run.namespaces.keys()];
  const waiting: Batch[] = [];
  for await (const batch of batchesOf(run, records)) {
    waiting.push(batch);
    // The first one waits: whether it is the only one is known when there is a second.
    while (waiting.length > (run.staged ? 0 : 1)) {
      await sendBatch(run, "sending", waiting.shift()!, { last_batch: false });
    }
  }

  const [last = []] = waiting;
  const expected_operations = run.staged + last.length;
  const apply = (limit?: RemovalLimit) =>
    sendBatch(run, "applying", last, { namespaces, expected_operations, removal_limit: sentLimit(limit) });
  try {
    await apply(removalLimit ?? DEFAULT_REMOVAL_LIMIT);
  } catch (error) {
    if (!(error instanceof TidemarkError && error.is("REMOVAL_LIMIT_EXCEEDED"))) throw error;
    if (removalLimit === undefined && error.details.namespaces.every(isSmall)) {
      // The limit is one for all namespaces. For a single one that is small, as many records as it may have at most,
      // should it have grown; among several that would be too strict for a large one, which was within its half a
      // moment ago.
      await apply(run.namespaces.size === 1 && UNLIMITED_RECORDS);
    } else if (run.dry) {
      // A plan says both: that it would be refused, and what it would do otherwise.
      run.refusal = error;
      await apply();
    } else throw error;
  }
}
