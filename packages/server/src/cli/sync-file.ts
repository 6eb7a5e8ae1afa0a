import { type RemovalLimit, type SyncAllOptions, type SyncAllResult, TidemarkError } from "@tidemark/client";
import { openClient } from "./client-settings.ts";
import type { FileOptions } from "./options.ts";
import { fail, NOT_IN_SYNC, REFUSED } from "./output.ts";
import { type ProgressDisplay, showProgress } from "./progress.ts";
import { readRecords } from "./read-records.ts";

export interface SyncOptions extends FileOptions {
  fullRefresh: boolean;
  deleteMissing: boolean;
  removalLimit?: RemovalLimit;
  dryRun: boolean;
}

/** Sends a file's records, prints the changes and sets the exit code. */
export async function syncFile(path: string, options: SyncOptions): Promise<void> {
  let progress: ProgressDisplay | undefined;
  try {
    const tidemark = openClient(options, (wait) => progress?.showWait(wait));
    const file = readRecords(path, options.idField, options.format);
    const display = showProgress(file);
    progress = display;
    const { namespace, fullRefresh, deleteMissing, removalLimit } = options;
    const syncOptions: SyncAllOptions = {
      mode: fullRefresh ? "full_refresh" : "incremental",
      namespace,
      deleteMissing,
      removalLimit,
      onProgress: ({ operations }) => display.show(operations),
    };
    if (options.dryRun) {
      const plan = await tidemark.plan(file.records, syncOptions);
      progress.end();
      report(plan, options, { samples: plan.samples, refused: plan.refusal?.details ?? null });
      if (plan.refusal) reportRefusal(plan.refusal);
    } else {
      const result = await tidemark.syncAll(file.records, syncOptions);
      progress.end();
      report(result, options);
      if (result.inSync === false) process.exitCode = NOT_IN_SYNC;
    }
  } catch (error) {
    progress?.end();
    fail(error);
    if (error instanceof TidemarkError && error.is("REMOVAL_LIMIT_EXCEEDED")) reportRefusal(error);
  }
}

/** Prints which namespaces would lose too many records, and sets the exit code. */
function reportRefusal({ details }: TidemarkError<"REMOVAL_LIMIT_EXCEEDED">): void {
  for (const { namespace, records, removed, cleared } of details.namespaces) {
    const lost = removed + cleared;
    console.error(
      `tidemark: ${namespace} would lose ${lost} of ${records} records (limit ${details.removal_limit})`,
    );
  }
  process.exitCode = REFUSED;
}

function report(result: SyncAllResult, { json, dryRun }: SyncOptions, more: object = {}): void {
  const { sync_id, operations, requests, changes, digests } = result;
  const inSync = dryRun ? undefined : result.inSync;
  if (json) {
    console.log(
      JSON.stringify(
        { sync_id, operations, requests, changes, digests, in_sync: inSync ?? null, ...more },
        null,
        2,
      ),
    );
    return;
  }
  const counts = Object.entries(changes).filter(([, count]) => count > 0);
  const verdict = {
    true: "; in sync",
    false: "; NOT IN SYNC: another writer changed the namespace",
    undefined: "",
  };
  console.log(
    `${dryRun ? "would send" : "sent"} ${operations} records: ${
      counts.map(([name, count]) => `${count} ${name}`).join(", ") || "nothing to do"
    }${verdict[`${inSync}`]}`,
  );
}
