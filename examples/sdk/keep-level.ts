/**
 * Keeps a namespace level with a helpdesk: everything at first, a look at what a refresh would do, then only what
 * changed, and a search that has it. From examples/README.md, with the environment that it sets:
 *
 *   node examples/sdk/keep-level.ts
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

// 1. Everything: staged in parts, and applied in one instant. Memory holds a batch or two, however many tickets there
//    are.
const everything: SyncAllOptions = { mode: "full_refresh", namespace, batchOperations: 1000 };
const first = await pipeline.syncAll(readTickets(), {
  ...everything,
  onProgress: ({ phase, operations }) => console.log(`  ${phase}: ${operations} tickets`),
});
console.log(`Refreshed: ${describe(first.changes)}. Level: ${first.level}.`);

// The helpdesk goes on: a new ticket, two with another subject, and one that is gone.
const updated_at = new Date().toISOString();
helpdesk.save({ id: 2346, subject: "Walrus in the server room", status: "open", updated_at });
helpdesk.save({ id: 7, subject: "Coffee machine leaks", status: "open", updated_at });
helpdesk.save({ id: 8, subject: "Coffee machine is cold", status: "solved", updated_at });
helpdesk.delete(5);

// 2. Look first: what would a refresh do now? Nothing that a reader can see is changed.
const plan = await pipeline.plan(readTickets(), everything);
console.log(`Another refresh would say: ${describe(plan.changes)}. Gone: ${plan.samples.cleared?.join()}.`);

// 3. Only what changed, deletions included. The time is from before the changes are read, so that a later run wins.
const sync_timestamp = new Date().toISOString();
const operations = (await helpdesk.readChanges()).map(toOperation);
const { sync_id, changes } = await pipeline.sync({ sync_mode: "incremental", sync_timestamp, operations });
console.log(`Synced changes: ${describe(changes)}.`);

// 4. Search the open ones. `after_sync` waits until that sync is searchable.
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

/** Every ticket, page by page: a page is fetched when the records of the one before are sent. */
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

/** The counts that are not zero. */
function describe(changes: object): string {
  const counts = Object.entries(changes).filter(([, count]) => count > 0);
  return counts.map(([name, count]) => `${count} ${name}`).join(", ");
}

function setting(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`Set ${name}: see examples/README.md.`);
  return value;
}
