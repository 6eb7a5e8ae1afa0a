import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { type Commands, openCommands } from "../../src/commands.ts";
import { readConfig } from "../../src/config.ts";
import { faults, startEmbeddingsServer } from "../embeddings-server.ts";
import { engines, type TestEngine } from "../engines.ts";
import { bringUpToDate, foundRecords } from "../index-rows.ts";
import { openTestLedger, storeOf, type TestLedger, type TestStore } from "../test-ledger.ts";

const upsert = (id: string, title: string) => ({ action: "upsert", id, namespace: "tasks", data: { title } });

/** Runs the steps of a rebuild, and nothing else, until it stops. @returns the states of the builds */
async function walkAll({ commands, storage }: Pick<TestLedger, "commands" | "storage">, store: TestStore) {
  for (;;) {
    const { step } = await commands.prepareBuildStep(store.storeId);
    if (!step) break;
    await commands.publishBuildStep(store.storeId, step);
  }
  return (await storage.index.builds(store.storeId)).map(({ state }) => state);
}

/** A store with an index, on a server with an embeddings endpoint. */
async function openEmbedding(t: TestContext, engine: TestEngine) {
  const endpoint = await startEmbeddingsServer(t);
  const { storage, clock, createStore } = await openTestLedger(t, engine);
  /** The commands of a server whose endpoint has this model and accepts one text per request. */
  const commandsFor = (embeddingsModel: string) => {
    const embeddings = { embeddingsModel, embeddingsUrl: endpoint.url };
    const config = readConfig({}, { ...embeddings, embeddingsBatchSize: 1, embeddingsConcurrency: 1 });
    return openCommands(storage, config, () => clock.now);
  };
  const commands = commandsFor("test-model");
  const store = storeOf(commands, await createStore());
  await commands.beginBuild(store.storeId, "{}");
  return { storage, clock, endpoint, commandsFor, commands, store };
}

/** Indexes all queue entries, with some retries. */
async function tryAll(ledger: Parameters<typeof bringUpToDate>[0], store: TestStore): Promise<void> {
  for (let tries = 0; tries < 8; tries++) {
    ledger.clock.now += 3_600_000;
    await bringUpToDate(ledger, store);
  }
}

/** The results of a lexical search, as `id text`, sorted. */
async function findByWords({ search }: Commands, { organizationId, storeId }: TestStore, query: string) {
  const { data } = await search(organizationId, storeId, { query, mode: "lexical" });
  return data.map(({ id, text }) => `${id} ${text}`).sort();
}

for (const engine of engines) {
  describe(`${engine.name}: a rebuild`, () => {
    test("finds a record by its old text until the new one is indexed", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const { commands, storage, clock } = ledger;
      const store = await ledger.createStore();
      await commands.beginBuild(store.storeId, "{}");
      const ids = Array.from({ length: 20 }, (_, n) => `r${n}`);
      const all = (title: string) => ids.map((id) => `${id} ${title}`).sort();
      await store.sync({ operations: ids.map((id) => upsert(id, "apple pie")) });
      await bringUpToDate(ledger, store);
      await store.sync({ operations: ids.map((id) => upsert(id, "apple cake")) });

      // A second rebuild takes the same version over again.
      for (const language of ["german", "english"]) {
        await commands.beginBuild(store.storeId, JSON.stringify({ language }), true);
        assert.equal((await walkAll(ledger, store)).at(-1), "active");
        assert.deepEqual(await foundRecords(ledger, store), all("apple pie"));
        while ((await storage.index.sweep(clock.now)).more);
      }
      await bringUpToDate(ledger, store);
      assert.deepEqual(await foundRecords(ledger, store), all("apple cake"));
      const [build] = await storage.index.builds(store.storeId);
      assert.equal(build!.chunks, 20);
      assert.equal((await storage.index.liveChunks(store.storeId, build!.build, 0, 1000)).length, 20);
    });

    test("does not bring an old text back by a step that was prepared before the new one was indexed", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const { commands } = ledger;
      const store = await ledger.createStore();
      await commands.beginBuild(store.storeId, "{}");
      await store.sync({ operations: [upsert("a", "apple"), upsert("b", "banana")] });
      await bringUpToDate(ledger, store);
      await store.sync({ operations: [upsert("a", "cherry"), upsert("b", "cherry")] });
      await commands.beginBuild(store.storeId, "{}", true);
      const { step } = await commands.prepareBuildStep(store.storeId);
      assert.deepEqual(
        step!.prepared.builds[0]!.chunks.map(({ text }) => text),
        ["apple", "banana"],
      );
      await bringUpToDate(ledger, store, { walks: false });
      await commands.publishBuildStep(store.storeId, step!);
      assert.deepEqual(await walkAll(ledger, store), ["retired", "active"]);
      assert.deepEqual(await foundRecords(ledger, store), ["a cherry", "b cherry"]);
      assert.equal((await ledger.storage.index.builds(store.storeId))[1]!.chunks, 2);
    });

    test("finds a record whose new text failed by the old text and its vector, until the retry", async (t) => {
      const { storage, clock, endpoint, commandsFor, commands, store } = await openEmbedding(t, engine);
      await store.sync({ operations: [upsert("x", "apple pie"), upsert("y", "apple tree")] });
      await bringUpToDate({ commands, clock }, store);
      endpoint.fault = faults.refuse("forbidden");
      await store.sync({ operations: [upsert("x", "apple forbidden")] });
      await tryAll({ commands, clock }, store);
      const [entry] = await storage.read((sql) => sql.all("SELECT due_at, attempts FROM index_queue"));
      assert.deepEqual([entry!.due_at, Number(entry!.attempts)], [null, 6]);

      const found = async () => {
        const vectors = await storage.read((sql) =>
          sql.all(
            `SELECT c.id FROM index_builds b
             JOIN chunks c ON c.store_id = b.store_id AND c.build = b.build
             JOIN vectors v ON v.store_id = b.store_id AND v.space = b.space AND v.vector = c.vector
             WHERE b.state = 'active' ORDER BY c.id`,
          ),
        );
        return [await findByWords(commands, store, "apple"), vectors.map(({ id }) => id)];
      };
      const before = [
        ["x apple pie", "y apple tree"],
        ["x", "y"],
      ];
      assert.deepEqual(await found(), before);
      const asked = endpoint.texts.length;
      await commands.beginBuild(store.storeId, "{}", true);
      assert.deepEqual(await walkAll({ commands, storage }, store), ["retired", "active"]);
      assert.deepEqual(await found(), before);
      assert.equal(endpoint.texts.length, asked, "nothing is embedded twice");
      const other = commandsFor("other-model");
      await other.beginBuild(store.storeId, "{}", true);
      assert.equal((await walkAll({ commands: other, storage }, store)).at(-1), "active");
      assert.deepEqual(await found(), before);

      endpoint.fault = null;
      await storage.write((sql) => sql.all("UPDATE index_queue SET due_at = 0"), store.storeId);
      await tryAll({ commands: other, clock }, store);
      assert.deepEqual(await found(), [
        ["x apple forbidden", "y apple tree"],
        ["x", "y"],
      ]);
    });

    test("takes over both versions of a record if the endpoint fails between them", async (t) => {
      const { storage, clock, endpoint, commandsFor, commands, store } = await openEmbedding(t, engine);
      const run = { sync_mode: "full_refresh", sync_timestamp: "2025-11-11T10:40:00Z" } as const;
      await store.sync({ operations: [upsert("a", "damson"), upsert("x", "apple")] });
      await store.sync({ ...run, last_batch: false, operations: [upsert("x", "banana")] });
      await bringUpToDate({ commands, clock }, store);
      const other = commandsFor("other-model");
      await other.beginBuild(store.storeId, "{}", true);
      endpoint.next = [null, null];
      endpoint.fault = faults.status(503);
      assert.deepEqual(await walkAll({ commands: other, storage }, store), ["active", "building"]);
      // While the endpoint fails, no step is reported, so that no process repeats one without a pause.
      assert.equal((await other.prepareBuildStep(store.storeId)).step, null);
      endpoint.fault = null;
      clock.now += 60_000;
      assert.deepEqual(await walkAll({ commands: other, storage }, store), ["retired", "active"]);
      await store.sync({ ...run, operations: [upsert("y", "cherry")] });
      await tryAll({ commands: other, clock }, store);
      assert.deepEqual(await findByWords(other, store, "apple banana cherry"), ["x banana", "y cherry"]);
    });
  });
}
