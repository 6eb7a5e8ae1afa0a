/**
 * Keeps a namespace in sync with a helpdesk: it syncs all tickets, plans a second refresh, syncs only the changes, and
 * searches for them. Set the environment as in examples/README.md, then run:
 *
 *   node examples/sdk/keep-in-sync.ts
 */
import { type SourceRecord, type SyncAllOptions, type SyncOperation, Tidemark } from "@tidemark/client";
import { type Change, Helpdesk, type Ticket } from "./helpdesk.ts";

const store = {
  url: setting("TIDEMARK_URL"),
  organizationId: setting("TIDEMARK_ORGANIZATION"),
  vectorStoreId: setting("TIDEMARK_STORE"),
};
const pipeline = new Tidemark({ ...store, apiKey: setting("TIDEMARK_API_KEY") });
const reader = new Tidemark({ ...store, apiKey: setting("TIDEMARK_READER_KEY") });

const helpdesk = new Helpdesk(2345);
const namespace = "helpdesk_tickets";

// 1. Sync everything. The tickets are staged in parts and applied in one instant; memory holds at most two batches.
const everything: SyncAllOptions = { mode: "full_refresh", namespace, batchOperations: 1000 };
const first = await pipeline.syncAll(readTickets(), {
  ...everything,
  onProgress: ({ phase, operations }) => console.log(`  ${phase}: ${operations} tickets`),
});
console.log(`Refreshed: ${describe(first.changes)}. In sync: ${first.inSync}.`);

// Meanwhile the helpdesk gets a new ticket, changes two, and deletes one.
const updated_at = new Date().toISOString();
helpdesk.save({ id: 2346, subject: "Walrus in the server room", status: "open", updated_at });
helpdesk.save({ id: 7, subject: "Coffee machine leaks", status: "open", updated_at });
helpdesk.save({ id: 8, subject: "Coffee machine is cold", status: "solved", updated_at });
helpdesk.delete(5);

// 2. Plan another refresh. Readers see no change.
const plan = await pipeline.plan(readTickets(), everything);
console.log(`Another refresh would say: ${describe(plan.changes)}. Gone: ${plan.samples.cleared?.join()}.`);

// 3. Sync only the changes, including deletions. The time is from before the read, so that a later run wins.
const sync_timestamp = new Date().toISOString();
const operations = (await helpdesk.readChanges()).map(toOperation);
const { sync_id, changes } = await pipeline.sync({ sync_mode: "incremental", sync_timestamp, operations });
console.log(`Synced changes: ${describe(changes)}.`);

// 4. Search the open tickets. `after_sync` waits until that sync is searchable.
for (const query of ["walrus", "coffee machine"]) {
  const { data } = await reader.search({
    query,
    namespaces: [namespace],
    filter: { status: "open" },
    limit: 3,
    after_sync: sync_id!,
    timeout_ms: 10_000,
  });
  console.log(`Search for ${query}:`);
  for (const { id, text } of data) console.log(`  ${id}: ${text.split("\n")[0]}`);
}

/** Reads every ticket, page by page. It fetches a page when the records of the page before are consumed. */
async function* readTickets(): AsyncGenerator<SourceRecord> {
  let cursor: number | undefined;
  do {
    const { tickets, next } = await helpdesk.listTickets(cursor);
    yield* tickets.map(toRecord);
    cursor = next;
  } while (cursor !== undefined);
}

function toRecord({ id, subject, status, updated_at }: Ticket): SourceRecord {
  return { id: `ticket_${id}`, data: { subject, status }, source_system: "helpdesk", updated_at };
}

function toOperation(change: Change): SyncOperation {
  return "deleted" in change
    ? { action: "delete", namespace, id: `ticket_${change.deleted}` }
    : { action: "upsert", namespace, ...toRecord(change.ticket) };
}

/** Lists the counts that are not zero. */
function describe(changes: object): string {
  const counts = Object.entries(changes).filter(([, count]) => count > 0);
  return counts.map(([name, count]) => `${count} ${name}`).join(", ");
}

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`Set ${name}: see examples/README.md.`);
  return value;
}
