import { Command } from "commander";
import { everyStore, withDatabase } from "../database.ts";
import { jsonOption } from "../options.ts";

/** `tidemark verify`: exit code 1 if a namespace's digest differs from that of its records. */
export function verifyCommand(): Command {
  return new Command("verify")
    .description("recompute the digest of every namespace from the stored records")
    .option("--store <id>", "only this vector store (vs_…)")
    .addOption(jsonOption())
    .action(({ store: only, json }: { store?: string; json: boolean }) =>
      withDatabase(async (commands) => {
        const results = [];
        for (const { store } of await everyStore(commands, only)) {
          const namespaces = await commands.verifyStore(store.id);
          results.push({ vector_store_id: store.id, namespaces });
          if (json) continue;
          for (const { namespace, records, digest, in_sync, counted_records, counted_digest } of namespaces) {
            const counted = describe(counted_records, counted_digest);
            const verdict = in_sync ? "in sync" : `NOT IN SYNC, found ${counted}`;
            console.log(`${store.id}  ${namespace}  ${describe(records, digest)}  ${verdict}`);
          }
        }
        if (json) console.log(JSON.stringify(results, null, 2));
        const inSync = results.every(({ namespaces }) => namespaces.every((namespace) => namespace.in_sync));
        if (!inSync) process.exitCode = 1;
      }),
    );
}

const describe = (records: number, digest: string) => `${records} records  ${digest.slice(0, 16)}…`;
