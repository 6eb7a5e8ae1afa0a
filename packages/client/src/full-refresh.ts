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
 * Replaces namespaces, with one request if the records fit, else with one part per batch and an empty last batch, which
 * is cheap to repeat after a rejection.
 */
export async function refreshNamespaces(run: SyncRun, records: SourceRecords): Promise<void> {
  const { removalLimit } = run.options;
  const namespaces = [...run.namespaces.keys()];
  const waiting: Batch[] = [];
  for await (const batch of batchesOf(run, records)) {
    waiting.push(batch);
    // The first batch waits until a second batch shows that it is not the only one.
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
      // One limit holds for all namespaces. A single small namespace may lose as many records as a small one can have,
      // in case it has grown. With several, that limit would be too strict for a large one, which was within its half.
      await apply(run.namespaces.size === 1 && UNLIMITED_RECORDS);
    } else if (run.dry) {
      // A plan reports the rejection, and what the sync would do without the limit.
      run.refusal = error;
      await apply();
    } else throw error;
  }
}
