import assert from "node:assert/strict";
import { once } from "node:events";
import { DatabaseSync } from "node:sqlite";
import { type TestContext, test } from "node:test";
import type { Worker } from "node:worker_threads";
import { ApiError } from "@tidemark/protocol/errors";
import { readConfig } from "../../src/config.ts";
import { openStorage } from "../../src/storage/open.ts";
import { sqlitePath } from "../../src/storage/sqlite/path.ts";
import { Thread } from "../../src/threads/thread.ts";
import { engines } from "../engines.ts";
import { ledgerOver, newSyncCall, type TestStore } from "../test-ledger.ts";
import { whenDone } from "../when-done.ts";

/** A writer thread, with access to its worker. */
async function startWriter(t: TestContext, databaseUrl: string) {
  const workers: Worker[] = [];
  const note = (worker: Worker) => workers.push(worker);
  process.on("worker", note);
  whenDone(t, () => process.off("worker", note));
  const deaths: Error[] = [];
  const thread = new Thread({ config: readConfig({}, { databaseUrl }), duty: "write" }, (error) => {
    deaths.push(error);
  });
  whenDone(t, () => thread.close());
  await thread.ready;
  return { thread, deaths, current: () => workers.at(-1)!, started: () => workers.length };
}

function syncCall(thread: Thread, { organizationId, storeId, connectorId }: TestStore, id: string) {
  const body = {
    organization_id: organizationId,
    vector_store_id: storeId,
    sync_mode: "incremental",
    sync_timestamp: "2025-11-11T10:30:00Z",
    operations: [{ action: "upsert", id, namespace: "tasks" }],
  };
  const bytes = new TextEncoder().encode(JSON.stringify(body));
  const identity = {
    keyId: "key_test",
    role: "connector",
    organizationId,
    storeId,
    connectorId,
    expiresAt: null,
  };
  return thread.call("sync", [{ bytes, gzip: false }, identity, newSyncCall()]);
}

const unavailable = (error: unknown) =>
  error instanceof ApiError && error.code === "SERVICE_UNAVAILABLE" && error.details.outcome === "unknown";

async function createStoreOn(databaseUrl: string): Promise<TestStore> {
  const storage = await openStorage(databaseUrl);
  const store = await ledgerOver(storage).createStore();
  await storage.close();
  return store;
}

test("when the writer thread dies, its calls get a 503 with outcome unknown, and the next ones work", async (t) => {
  const databaseUrl = await engines[0]!.createDatabase(t);
  const store = await createStoreOn(databaseUrl);
  const { thread, deaths, current, started } = await startWriter(t, databaseUrl);
  await syncCall(thread, store, "before");

  // Another connection holds the write lock, so the call cannot be answered before the thread dies.
  const blocker = new DatabaseSync(sqlitePath(databaseUrl));
  blocker.exec("BEGIN IMMEDIATE");
  const lost = [syncCall(thread, store, "lost"), syncCall(thread, store, "lost too")];
  const refused = lost.map((call) => assert.rejects(call, unavailable));
  const dead = once(current(), "exit");
  void current().terminate();
  blocker.exec("ROLLBACK");
  blocker.close();
  await dead;
  await Promise.all(refused);
  assert.equal(deaths.length, 1);

  await syncCall(thread, store, "after");
  assert.equal(started(), 2);
  const storage = await openStorage(databaseUrl);
  whenDone(t, () => storage.close());
  const live = await storage.liveIds(store.storeId, "tasks", ["before", "lost", "lost too", "after"]);
  assert.deepEqual([...live], ["before", "after"]);
});

test("while a dead thread cannot be replaced, calls get a 503 instead of no answer", {
  timeout: 20_000,
}, async (t) => {
  const databaseUrl = await engines[0]!.createDatabase(t);
  const store = await createStoreOn(databaseUrl);
  const { thread, current, deaths } = await startWriter(t, databaseUrl);
  // No replacement can open the database.
  await engines[0]!.pretendNewerSchema(databaseUrl);
  await current().terminate();
  const during = syncCall(thread, store, "during");
  await assert.rejects(during, { code: "SERVICE_UNAVAILABLE" });
  while (deaths.length < 2) await new Promise((resolve) => setImmediate(resolve));
  await assert.rejects(syncCall(thread, store, "later"), {
    code: "SERVICE_UNAVAILABLE",
    details: { outcome: "not_applied" },
  });
});
