import { digestOf, everyItem } from "@tidemark/client";
import { openClient } from "./client-settings.ts";
import type { FileOptions } from "./options.ts";
import { fail, NOT_IN_SYNC } from "./output.ts";
import { showProgress } from "./progress.ts";
import { readRecords } from "./read-records.ts";

/** Compares a namespace with a file, prints the differences and sets the exit code. */
export async function checkFile(path: string, options: FileOptions): Promise<void> {
  try {
    const { namespace, idField, format, json } = options;
    if (path === "-") throw new Error("check reads the file twice: name a file, not standard input.");
    const tidemark = openClient(options, () => {});
    const source = await digestOf(readRecords(path, idField, format).records);
    const stored = { records: 0, digest: "0".repeat(64) };
    for await (const listed of everyItem((page) => tidemark.listNamespaces(page))) {
      if (listed.namespace === namespace) Object.assign(stored, listed);
    }
    const inSync = source === stored.digest;
    const difference = inSync ? null : await countDifference();
    if (!inSync) process.exitCode = NOT_IN_SYNC;
    if (json) {
      const digests = { source, server: stored.digest };
      console.log(
        JSON.stringify({ namespace, in_sync: inSync, records: stored.records, digests, difference }, null, 2),
      );
    } else if (difference === null) console.log(`${namespace}: in sync, ${stored.records} records`);
    else {
      const { missing, different, extra } = difference;
      console.log(`${namespace}: NOT IN SYNC: ${missing} missing, ${different} different, ${extra} extra`);
      for (const [kind, ids] of Object.entries(difference.samples)) {
        if (ids.length > 0) console.log(`  ${kind}: ${ids.join(", ")}`);
      }
    }

    async function countDifference() {
      const file = readRecords(path, idField, format);
      const progress = showProgress(file);
      try {
        const { changes, samples } = await tidemark.plan(file.records, {
          mode: "incremental",
          namespace,
          onProgress: ({ operations }) => progress.show(operations),
        });
        const { created, updated, unchanged } = changes;
        return {
          missing: created,
          different: updated,
          extra: Math.max(0, stored.records - updated - unchanged),
          samples: { missing: samples.created ?? [], different: samples.updated ?? [] },
        };
      } finally {
        progress.end();
      }
    }
  } catch (error) {
    fail(error);
  }
}
