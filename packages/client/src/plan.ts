import type { Sampled } from "@tidemark/protocol/sync";
import type { TidemarkError } from "./errors.ts";
import { everyItem } from "./lists.ts";
import type { SourceRecords } from "./record.ts";
import { startRun } from "./run.ts";
import type { StoreCalls } from "./store-calls.ts";
import { carryOut } from "./sync-all.ts";
import { newRun, type SyncAllOptions, type SyncAllResult } from "./sync-all-options.ts";

/** What a sync would do: its result, with samples and a possible rejection. */
export interface Plan extends SyncAllResult {
  /** Up to 20 ids of each kind of change. */
  samples: Partial<Record<Sampled, string[]>>;
  /** The removal limit's rejection of the sync, if any; `changes` are then those without the limit. */
  refusal: TidemarkError<"REMOVAL_LIMIT_EXCEEDED"> | undefined;
}

/** See `Tidemark.plan`. */
export async function planSync(
  tidemark: StoreCalls,
  records: SourceRecords,
  options: SyncAllOptions,
): Promise<Plan> {
  // Its own refresh_id, so that aborting the run does not abort another.
  const { refresh_id, ...now } = newRun();
  const run = startRun(tidemark, options, { ...now, ...options.run, refresh_id }, true);
  try {
    const result = await carryOut(run, records);
    return { ...result, samples: run.samples, refusal: run.refusal };
  } finally {
    if (run.staged > 0) await abort(tidemark, refresh_id);
  }
}

/**
 * Aborts a plan's run, without the caller's signal, which may be aborted. If this fails, the server expires the run.
 */
async function abort(tidemark: StoreCalls, refreshId: string): Promise<void> {
  try {
    for await (const { id, refresh_id } of everyItem((page) => tidemark.listRefreshes(page))) {
      if (refresh_id === refreshId) await tidemark.abortRefresh(id);
    }
  } catch {
    // The run expires.
  }
}
