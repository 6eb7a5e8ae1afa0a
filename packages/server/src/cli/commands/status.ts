import { setTimeout as pause } from "node:timers/promises";
import type { NamespaceObject, RefreshObject, SyncObject } from "@tidemark/protocol/browse";
import { Command } from "commander";
import type { IndexStatus } from "../../browse/index-status.ts";
import type { Commands } from "../../commands.ts";
import { everyStore, wholeList, withDatabase } from "../database.ts";
import { describeIndex } from "../describe-index.ts";
import { jsonOption } from "../options.ts";

const WATCH_EVERY_MS = 2000;

interface StoreStatus {
  organization: { id: string; name: string };
  vector_store: { id: string; name: string; record_count: number };
  namespaces: NamespaceObject[];
  last_sync: SyncObject | null;
  refreshes: RefreshObject[];
  index: IndexStatus;
}

/** `tidemark status` */
export function statusCommand(): Command {
  return new Command("status")
    .description("show each store's namespaces, last sync, refreshes in progress and how far its index is")
    .option("--store <id>", "only this vector store (vs_…)")
    .option("--watch", "repeat every two seconds", false)
    .addOption(jsonOption())
    .action(({ store, watch, json }: { store?: string; watch: boolean; json: boolean }) =>
      withDatabase(async (commands) => {
        do {
          const status = await readStatus(commands, store);
          if (watch && process.stdout.isTTY) process.stdout.write("\x1b[2J\x1b[H");
          console.log(json ? JSON.stringify(status, null, watch ? 0 : 2) : describe(status));
          if (watch) await pause(WATCH_EVERY_MS);
        } while (watch);
      }),
    );
}

async function readStatus(commands: Commands, only: string | undefined): Promise<StoreStatus[]> {
  const statuses: StoreStatus[] = [];
  for (const { organization, store } of await everyStore(commands, only)) {
    const ids = [organization.id, store.id] as const;
    const namespaces = await wholeList((page) => commands.listNamespaces(...ids, page));
    const refreshes = await wholeList((page) => commands.listRefreshes(...ids, page, null));
    const syncs = await commands.listSyncs(...ids, { limit: 1 }, null);
    statuses.push({
      organization: { id: organization.id, name: organization.name },
      vector_store: { id: store.id, name: store.name, record_count: store.record_count },
      namespaces: namespaces.data,
      last_sync: syncs.data[0] ?? null,
      refreshes: refreshes.data,
      index: await commands.getIndexStatus(...ids),
    });
  }
  return statuses;
}

function describe(statuses: StoreStatus[]): string {
  if (statuses.length === 0) return "There is no vector store yet.";
  return statuses.map(describeStore).join("\n\n");
}

function describeStore({
  organization,
  vector_store,
  namespaces,
  last_sync,
  refreshes,
  index,
}: StoreStatus): string {
  const lines = [
    `${vector_store.name} (${vector_store.id}) of ${organization.name} (${organization.id})`,
    `  ${vector_store.record_count} records in ${namespaces.length} namespaces`,
  ];
  const width = Math.max(0, ...namespaces.map(({ namespace }) => namespace.length));
  for (const { namespace, records, last_sync_at, last_refresh_at } of namespaces) {
    const refreshed = last_refresh_at ? `, last full refresh of ${last_refresh_at}` : "";
    lines.push(
      `    ${namespace.padEnd(width)}  ${String(records).padStart(9)}  synced ${last_sync_at}${refreshed}`,
    );
  }
  if (last_sync) {
    const { id, sync_mode, status, received_at, changes } = last_sync;
    const changed = Object.entries(changes).filter(([, count]) => count > 0);
    const counts = changed.map(([name, count]) => `${count} ${name}`).join(", ") || "no changes";
    lines.push(`  last sync: ${id}, ${sync_mode}, ${status}, ${received_at}: ${counts}`);
  }
  for (const { id, connector_id, operations, batches, last_part_at } of refreshes) {
    lines.push(
      `  refresh in progress: ${id} of ${connector_id}, ${operations} operations in ${batches} parts, last part ${last_part_at}`,
    );
  }
  lines.push(`  index: ${describeIndex(index, Date.now())}`);
  return lines.join("\n");
}
