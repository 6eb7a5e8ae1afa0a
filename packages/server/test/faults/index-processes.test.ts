import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { type EmbeddingsServer, faults, startEmbeddingsServer } from "../embeddings-server.ts";
import { engines, type TestEngine } from "../engines.ts";
import { checkIndexed, releaseEntries, wordOf } from "../indexed-store.ts";
import { startServerProcess } from "../server-process.ts";
import { openTestLedger } from "../test-ledger.ts";

const RECORDS = 1500;
/** Entries that one process claims: two batches. */
const TAKEN = 1000;

/** A store with a backlog, and a function that starts servers, each with an endpoint of its own. */
async function openBacklog(t: TestContext, engine: TestEngine) {
  const { databaseUrl, storage, createStore } = await openTestLedger(t, engine);
  const store = await createStore();
  const operations = Array.from({ length: RECORDS }, (_, index) => {
    const word = wordOf(index);
    return { action: "upsert", id: `r${index}`, namespace: "tasks", data: { title: `Note ${word}`, word } };
  });
  await store.sync({ operations });
  const count = async (condition: string) => {
    const [row] = await storage.read((sql) =>
      sql.all(`SELECT count(*) AS count FROM index_queue WHERE store_id = $1 AND ${condition}`, [
        store.storeId,
      ]),
    );
    return Number(row!.count);
  };
  return {
    store,
    storage,
    start: (endpoint: EmbeddingsServer) =>
      startServerProcess(t, {
        TIDEMARK_DATABASE_URL: databaseUrl,
        TIDEMARK_LOG_LEVEL: "info",
        TIDEMARK_EMBEDDINGS_URL: endpoint.url,
        TIDEMARK_EMBEDDINGS_MODEL: "test-model",
        TIDEMARK_EMBEDDINGS_TIMEOUT_MS: "300000",
      }),
    /** Waits until a number of queue entries are pending, or are claimed. */
    async entries(kind: "waiting" | "taken", expected: number): Promise<void> {
      const condition = kind === "waiting" ? "due_at IS NOT NULL" : "due_at > 0";
      const end = performance.now() + 60_000;
      for (let is = await count(condition); is !== expected; is = await count(condition)) {
        assert.ok(performance.now() < end, `${is} instead of ${expected} are ${kind}`);
        await pause(20);
      }
    },
  };
}

for (const engine of engines.filter(({ servers }) => servers > 1)) {
  describe(`${engine.name}: two processes that index one store`, () => {
    test("share its backlog: one of them embeds each record, and it is indexed once", async (t) => {
      const { store, storage, start, entries } = await openBacklog(t, engine);
      const endpoints = [await startEmbeddingsServer(t), await startEmbeddingsServer(t)] as const;
      // No request is answered before both processes have begun.
      const begun = Promise.all(endpoints.map((endpoint) => endpoint.arrival()));
      for (const endpoint of endpoints) endpoint.fault = faults.until(begun);
      const servers = await Promise.all(endpoints.map(start));
      await entries("waiting", 0);
      for (const server of servers) assert.equal((await server.end("SIGTERM")).code, 0);
      const [one, other] = endpoints.map(({ texts }) => texts);
      assert.equal(new Set([...one!, ...other!]).size, RECORDS);
      assert.equal(one!.length + other!.length, RECORDS, "no text is embedded twice");
      const { records, chunks } = await checkIndexed(storage, store, endpoints[0], []);
      assert.deepEqual([records, chunks], [RECORDS, RECORDS]);
      t.diagnostic(`one embedded ${one!.length}, the other ${other!.length}`);
    });

    test("leave claimed entries to each other, and take over those of a killed process", async (t) => {
      const { store, storage, start, entries } = await openBacklog(t, engine);
      const [hanging, working] = [await startEmbeddingsServer(t), await startEmbeddingsServer(t)];
      hanging.fault = faults.hang();
      const killed = await start(hanging);
      await entries("taken", TAKEN);
      const survivor = await start(working);
      await entries("waiting", TAKEN);
      assert.equal(working.texts.length, RECORDS - TAKEN, "the survivor did the rest, and nothing else");
      await killed.end("SIGKILL");
      // This replaces waiting for the end of the lease.
      await releaseEntries(storage, store.storeId);
      await entries("waiting", 0);
      assert.equal((await survivor.end("SIGTERM")).code, 0);
      assert.equal(working.texts.length, RECORDS);
      assert.equal(new Set(working.texts).size, RECORDS);
      await checkIndexed(storage, store, working, []);
    });
  });
}
