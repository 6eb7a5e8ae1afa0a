import assert from "node:assert/strict";
import { test } from "node:test";
import type { SyncObject } from "@tidemark/protocol/browse";
import type { List } from "@tidemark/protocol/management";
import type { SyncResponse } from "@tidemark/protocol/sync";
import { openCommands } from "../../src/commands.ts";
import { readConfig } from "../../src/config.ts";
import { openStorage } from "../../src/storage/open.ts";
import { engines } from "../engines.ts";
import { changes } from "../http/staged-refresh-client.ts";
import { LONG } from "../long.ts";
import { readRecords } from "../model/ledger-rows.ts";
import { type ServerProcess, startServerProcess } from "../server-process.ts";
import { syncBody, type Tenant } from "../test-server.ts";
import { whenDone } from "../when-done.ts";
import { createTarget } from "./load.ts";

const LOAD_MS = LONG ? 30_000 : 4000;
const CLIENTS = 16;
const IDS = Array.from({ length: 400 }, (_, index) => `id-${index}`);
const NAMESPACES = ["one", "two"];

interface Sent {
  operations: { action: "upsert" | "delete"; id: string; namespace: string; data?: { said: string } }[];
  answer: SyncResponse;
}

/** Repeatedly syncs mostly the same records; every other client sends them in the opposite order. */
async function runClient(
  client: number,
  server: ServerProcess,
  tenant: Tenant,
  until: number,
): Promise<Sent[]> {
  const sent: Sent[] = [];
  for (let number = 0; performance.now() < until; number++) {
    const said = `${client}-${number}`;
    const chosen = NAMESPACES.flatMap((namespace) =>
      IDS.filter(() => Math.random() < 0.7).map((id) => ({ namespace, id })),
    );
    if (client % 2) chosen.reverse();
    const operations = chosen.map(({ namespace, id }) =>
      Math.random() < 0.2
        ? { action: "delete" as const, id, namespace }
        : { action: "upsert" as const, id, namespace, data: { said } },
    );
    const response = await fetch(`${server.url}/v1/pipeline/sync`, {
      method: "POST",
      headers: { "x-api-key": tenant.key, "content-type": "application/json" },
      body: JSON.stringify(syncBody(tenant, { operations })),
      // Without a time limit, a deadlock would hang the test.
      signal: AbortSignal.timeout(60_000),
    });
    const answer = (await response.json()) as SyncResponse;
    assert.equal(response.status, 200, JSON.stringify(answer));
    sent.push({ operations, answer });
  }
  return sent;
}

/** Every sync of a store, in commit order. */
async function readHistory(databaseUrl: string, { organizationId, storeId }: Tenant): Promise<string[]> {
  const storage = await openStorage(databaseUrl);
  const commands = openCommands(storage, readConfig({}));
  const ids: string[] = [];
  let cursor: string | null = null;
  do {
    const request = cursor === null ? { limit: 100 } : { limit: 100, cursor };
    const page: List<SyncObject> = await commands.listSyncs(organizationId, storeId, request, null);
    ids.push(...page.data.map(({ id }) => id));
    cursor = page.next_cursor;
  } while (cursor);
  await storage.close();
  return ids.reverse();
}

for (const engine of engines) {
  const through = engine.servers === 1 ? "one server" : `${engine.servers} servers`;
  test(`${engine.name}: ${CLIENTS} clients in opposite order through ${through} have the effect of running one after another`, async (t) => {
    const databaseUrl = await engine.createDatabase(t);
    const tenant = await createTarget(databaseUrl);
    const settings = { TIDEMARK_DATABASE_URL: databaseUrl };
    const servers = await Promise.all(
      Array.from({ length: engine.servers }, () => startServerProcess(t, settings)),
    );
    const until = performance.now() + LOAD_MS;
    const sent = await Promise.all(
      Array.from({ length: CLIENTS }, (_, client) =>
        runClient(client, servers[client % engine.servers]!, tenant, until),
      ),
    );
    const bySync = new Map(sent.flat().map((one) => [one.answer.sync_id, one]));
    const history = await readHistory(databaseUrl, tenant);
    assert.equal(history.length, bySync.size);
    assert.ok(history.length >= CLIENTS, `${history.length} syncs`);

    // Replaying the history in its order must give the same answers and the same records.
    const records = new Map<string, string>();
    for (const syncId of history) {
      const { operations, answer } = bySync.get(syncId)!;
      const counts = { created: 0, updated: 0, removed: 0, absent: 0 };
      for (const { action, namespace, id, data } of operations) {
        const key = `${namespace} ${id}`;
        if (action === "delete") counts[records.delete(key) ? "removed" : "absent"]++;
        else {
          counts[records.has(key) ? "updated" : "created"]++;
          records.set(key, data!.said);
        }
      }
      assert.deepEqual(answer.changes, changes(counts));
    }
    const storage = await openStorage(databaseUrl);
    whenDone(t, () => storage.close());
    const stored = (await readRecords(storage, tenant.storeId)).map(
      ({ namespace, id, content }) =>
        [`${namespace} ${id}`, (content as { data: { said: string } }).data.said] as const,
    );
    assert.deepEqual(new Map(stored), records);
    t.diagnostic(`${history.length} syncs of about 560 operations`);
  });

  test(`${engine.name}: the limit of an organization holds across two servers`, async (t) => {
    const databaseUrl = await engine.createDatabase(t);
    const tenant = await createTarget(databaseUrl);
    const settings = { TIDEMARK_DATABASE_URL: databaseUrl, TIDEMARK_RATE_LIMIT_PER_MINUTE: "100" };
    const servers = await Promise.all([startServerProcess(t, settings), startServerProcess(t, settings)]);
    const statuses = await Promise.all(
      Array.from({ length: 160 }, async (_, number) => {
        const response = await fetch(`${servers[number % 2]!.url}/v1/pipeline/sync`, {
          method: "POST",
          headers: { "x-api-key": tenant.key, "content-type": "application/json" },
          body: JSON.stringify(syncBody(tenant)),
        });
        await response.arrayBuffer();
        return response.status;
      }),
    );
    assert.equal(statuses.filter((status) => status === 200).length, 100);
    assert.equal(statuses.filter((status) => status === 429).length, 60);
  });
}
