import { deleteMissing } from "./delete-missing.ts";
import type { SourceRecords } from "./record.ts";
import { sentLimit } from "./removal-limit.ts";
import type { SyncRun } from "./run.ts";

/** Sends batches one after another: a record that comes twice has to end as it came last. */
export async function syncIncrementally(run: SyncRun, records: SourceRecords): Promise<void> {
  const { removalLimit, deleteMissing: complete } = run.options;
  const fields = { removal_limit: sentLimit(removalLimit) };
  for await (const batch of run.batches(records)) await run.send("sending", batch, fields);
  if (complete) await deleteMissing(run);
}
