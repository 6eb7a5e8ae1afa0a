import type { Batch } from "./batches.ts";
import { isError } from "./errors.ts";
import type { SourceRecords } from "./record.ts";
import {
  DEFAULT_REMOVAL_LIMIT,
  isTooSmallForDefault,
  type RemovalLimit,
  sentLimit,
  UNLIMITED_RECORDS,
} from "./removal-limit.ts";
import type { SyncRun } from "./run.ts";

/**
 * Replaces namespaces: one request if the records fit, else every batch as a part and then an empty last batch, which is
 * cheap to repeat when it is refused.
 */
export async function refreshNamespaces(run: SyncRun, records: SourceRecords): Promise<void> {
  const namespaces = [...run.namespaces.keys()];
  // Whether there is one batch alone is known when there is a second.
  let only: Batch | undefined;
  let parts = false;
  const stage = (part: Batch) => run.send("sending", part, { last_batch: false });
  for await (const batch of run.batches(records)) {
    if (only) {
      await stage(only);
      only = undefined;
      parts = true;
    }
    if (parts) await stage(batch);
    else only = batch;
  }
  await apply(run, only ?? [], namespaces);
}

/** Sends the last batch, within the removal limit. */
async function apply(run: SyncRun, batch: Batch, namespaces: string[]): Promise<void> {
  const { removalLimit } = run.options;
  const expected_operations = run.staged + batch.length;
  const send = (limit?: RemovalLimit) =>
    run.send("applying", batch, { namespaces, expected_operations, removal_limit: sentLimit(limit) });
  try {
    await send(removalLimit ?? DEFAULT_REMOVAL_LIMIT);
  } catch (error) {
    if (removalLimit === undefined && isTooSmallForDefault(error)) {
      // The limit is one for all namespaces. For a single one that is small, as many records as it may have at most, should it
      // have grown; among several that would be too strict for a large one, which was within its half a moment ago.
      await send(run.namespaces.size === 1 && UNLIMITED_RECORDS);
    } else if (run.dry && isError(error, "REMOVAL_LIMIT_EXCEEDED")) {
      // A plan says both: that it would be refused, and what it would do otherwise.
      run.refusal = error;
      await send();
    } else throw error;
  }
}
