import { deleteMissing } from "./delete-missing.ts";
import { refreshNamespaces } from "./full-refresh.ts";
import type { SourceRecords } from "./record.ts";
import { sentLimit } from "./removal-limit.ts";
import { batchesOf, compareDigests, type SyncRun, sendBatch, startRun, tellProgress } from "./run.ts";
import type { StoreCalls } from "./store-calls.ts";
import { newRun, type SyncAllOptions, type SyncAllResult } from "./sync-all-options.ts";

/** See `Tidemark.syncAll`. */
export async function syncAll(
  tidemark: StoreCalls,
  records: SourceRecords,
  options: SyncAllOptions,
): Promise<SyncAllResult> {
  return carryOut(startRun(tidemark, options, options.run ?? newRun(), false), records);
}

/** Sends a run's records in its mode, and compares the digests. */
export async function carryOut(run: SyncRun, records: SourceRecords): Promise<SyncAllResult> {
  const { options } = run;
  tellProgress(run, "sending");
  if (options.mode === "full_refresh") await refreshNamespaces(run, records);
  else {
    // Sequentially, because the last state of a repeated record must win.
    const fields = { removal_limit: sentLimit(options.removalLimit) };
    for await (const batch of batchesOf(run, records)) await sendBatch(run, "sending", batch, fields);
    if (options.deleteMissing) await deleteMissing(run);
    else run.explained = true;
  }
  tellProgress(run, "done");
  return compareDigests(run);
}
