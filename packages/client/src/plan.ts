import type { Sampled } from "@tidemark/protocol/sync";
import type { TidemarkError } from "./errors.ts";
import { everyItem } from "./lists.ts";
import type { SourceRecords } from "./record.ts";
import { startRun } from "./run.ts";
import type { StoreCalls } from "./store-calls.ts";
import { carryOut } from "./sync-all.ts";
import { newRun, type SyncAllOptions, type SyncAllResult } from "./sync-all-options.ts";

/** What a sync would do: what it would answer, and … */
export interface Plan extends SyncAllResult {
  /** Up to 20 ids of each kind of change. */
  samples: Partial<Record<Sampled, string[]>>;
  /** The error with which the removal limit would refuse the sync; `changes` are then those without the limit. */
  refusal: TidemarkError<"REMOVAL_LIMIT_EXCEEDED"> | undefined;
}

/** See `Tidemark.plan`. */
export async function planSync(
  tidemark: StoreCalls,
  records: SourceRecords,
  options: SyncAllOptions,
): Promise<Plan> {
  // A refresh_id of its own, so that giving the run up takes nothing from another.
  const { refresh_id, ...now } = newRun();
  const run = startRun(tidemark, options, { ...now, ...options.run, refresh_id }, true);
  try {
    const result = await carryOut(run, records);
    return { ...result, samples: run.samples, refusal: run.refusal };
  } finally {
    if (run.staged > 0) await abort(tidemark, refresh_id);
  }
}

/** Not with the caller's signal, which may be what ended the run. If it fails, the server forgets the run by itself. */
async function abort(tidemark: StoreCalls, refreshId: string): Promise<void> {
  try {
    for await (const { id, refresh_id } of everyItem((page) => tidemark.listRefreshes(page))) {
      if (refresh_id === refreshId) await tidemark.abortRefresh(id);
    }
  } catch {
    // Said above.
  }
}
