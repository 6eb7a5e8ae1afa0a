import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { readConfig } from "../../src/config.ts";
import { openStorage } from "../../src/storage/open.ts";
import { Thread } from "../../src/threads/thread.ts";
import { engines } from "../engines.ts";
import { readRecords } from "../model/ledger-rows.ts";
import { ledgerOver, newSyncCall, openTestLedger } from "../test-ledger.ts";
import { whenDone } from "../when-done.ts";

/** A thread with a connection of its own, which the database cannot tell from a server process. */
function startThread(t: TestContext, databaseUrl: string): Thread {
  const config = readConfig({}, { databaseUrl });
  const thread = new Thread({ config, duty: "write" }, (error) => assert.fail(error));
  whenDone(t, () => thread.close());
  return thread;
}

for (const engine of engines) {
  describe(`${engine.name}: several processes on one database`, () => {
    test("starting together on an empty database migrates it once", async (t) => {
      for (let round = 0; round < 3; round++) {
        const databaseUrl = await engine.createDatabase(t);
        const threads = Array.from({ length: 4 }, () => startThread(t, databaseUrl));
        await Promise.all(threads.map((thread) => thread.ready));
        const storage = await openStorage(databaseUrl);
        const store = await ledgerOver(storage).createStore();
        assert.equal(await store.recordCount(), 0);
        await storage.close();
      }
    });

    test("a process sees what an earlier process wrote", async (t) => {
      const databaseUrl = await engine.createDatabase(t);
      const first = await openStorage(databaseUrl);
      const store = await ledgerOver(first).createStore();
      await store.sync({ operations: [{ action: "upsert", id: "a", namespace: "tasks" }] });
      await first.close();
      const second = await openStorage(databaseUrl);
      whenDone(t, () => second.close());
      const records = await readRecords(second, store.storeId);
      assert.deepEqual(
        records.map(({ id, content }) => ({ id, content })),
        [{ id: "a", content: { data: {} } }],
      );
    });

    test("a database of a newer version is rejected with one line", async (t) => {
      const databaseUrl = await engine.createDatabase(t);
      await (await openStorage(databaseUrl)).close();
      await engine.pretendNewerSchema(databaseUrl);
      await assert.rejects(openStorage(databaseUrl), ({ message }: Error) => {
        assert.match(
          message,
          /schema 999999.*Start the version that upgraded the database, or a newer one\.$/,
        );
        assert.doesNotMatch(message, /\n/);
        return true;
      });
    });

    test("concurrent syncs through two processes lose no count", async (t) => {
      const { databaseUrl, storage, createStore } = await openTestLedger(t, engine);
      const store = await createStore();
      const threads = [startThread(t, databaseUrl), startThread(t, databaseUrl)];
      await Promise.all(threads.map((thread) => thread.ready));
      const { organizationId, storeId, connectorId } = store;
      const identity = {
        keyId: "key_test",
        role: "connector",
        organizationId,
        storeId,
        connectorId,
        expiresAt: null,
      };
      const sync = (number: number) => {
        const operations = Array.from({ length: 20 }, (_, index) => ({
          action: "upsert",
          id: index === 0 ? "shared" : `${number}-${index}`,
          namespace: "tasks",
          data: { number },
        }));
        const body = {
          organization_id: organizationId,
          vector_store_id: storeId,
          sync_mode: "incremental",
          sync_timestamp: "2025-11-11T10:30:00Z",
          operations,
        };
        const bytes = new TextEncoder().encode(JSON.stringify(body));
        return threads[number % 2]!.call("sync", [{ bytes, gzip: false }, identity, newSyncCall()]);
      };
      await Promise.all(Array.from({ length: 50 }, (_, number) => sync(number)));
      const records = await readRecords(storage, storeId);
      assert.equal(records.length, 50 * 19 + 1);
      const [row] = await storage.read((sql) =>
        sql.all("SELECT revision FROM store_revisions WHERE store_id = $1", [storeId]),
      );
      assert.equal(row!.revision, 50);
    });
  });
}
