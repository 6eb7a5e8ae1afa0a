import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import type { IndexStatus } from "../../src/browse/index-status.ts";
import { openCommands } from "../../src/commands.ts";
import { readConfig } from "../../src/config.ts";
import { startIndexer } from "../../src/indexing/indexer.ts";
import { openLog } from "../../src/log.ts";
import { startEmbeddingsServer } from "../embeddings-server.ts";
import { engines, type TestEngine } from "../engines.ts";
import { runForObject, runTidemark } from "../server-process.ts";
import { openTestLedger, type TestStore } from "../test-ledger.ts";
import { indexAll } from "../test-server.ts";
import { whenDone } from "../when-done.ts";

const upsert = (id: string, namespace = "tasks") => ({ action: "upsert", id, namespace, data: { text: id } });

/** A database with one store, and functions that run commands on its index. */
async function openIndexed(t: TestContext, engine: TestEngine) {
  const ledger = await openTestLedger(t, engine);
  const store = await ledger.createStore();
  const settings = { TIDEMARK_DATABASE_URL: ledger.databaseUrl };
  return {
    ...ledger,
    store,
    settings,
    index: (...args: string[]) => runTidemark(["index", ...args], settings),
    status: async (): Promise<IndexStatus> => {
      const [status] = await runForObject(["index", "status", "--store", store.storeId], settings);
      return status;
    },
    /** Makes the indexer fail on every queue entry of a store. */
    async failAll({ storeId }: TestStore, error: string): Promise<void> {
      const entries = await ledger.storage.index.claim(storeId, ledger.clock.now, ledger.clock.now + 1, 500);
      const put = entries.map(({ version }) => ({ version, attempts: 6, error, dueAt: null }));
      await ledger.storage.index.defer(storeId, put);
    },
  };
}

for (const engine of engines) {
  describe(`${engine.name}: tidemark index failed and retry`, () => {
    test("list failed records, and retry those of an id, a namespace, a store, or all", async (t) => {
      const { store, settings, index, status, failAll, clock, createStore, commands } = await openIndexed(
        t,
        engine,
      );
      const other = await createStore();
      const nothing = await index("failed");
      assert.deepEqual([nothing.code, nothing.stdout], [0, "No records failed.\n"]);
      await store.sync({ operations: [upsert("a"), upsert("b")] });
      await store.sync({ operations: [upsert("a", "pages")] });
      await other.sync({ operations: [upsert("c")] });
      await failAll(store, "The endpoint does not like it.");
      await failAll(other, "Nor this.");

      const failed = async (...args: string[]) => {
        const { data } = await runForObject(["index", "failed", ...args], settings);
        return data
          .map(({ namespace, id }: { namespace: string; id: string }) => `${namespace}/${id}`)
          .sort();
      };
      assert.deepEqual(await failed(), ["pages/a", "tasks/a", "tasks/b", "tasks/c"]);
      const [first] = (await runForObject(["index", "failed", "--store", store.storeId], settings)).data;
      assert.deepEqual(first, {
        object: "failed_record",
        vector_store_id: store.storeId,
        namespace: "tasks",
        id: "a",
        attempts: 6,
        error: "The endpoint does not like it.",
        queued_at: new Date(clock.now).toISOString(),
      });
      const { stdout } = await index("failed", "--store", other.storeId);
      assert.deepEqual(
        stdout
          .trimEnd()
          .split("\n")
          .map((line) => line.split(/ {2,}/)),
        [
          ["vector_store_id", "namespace", "id", "attempts", "queued_at", "error"],
          [other.storeId, "tasks", "c", "6", new Date(clock.now).toISOString(), "Nor this."],
        ],
      );
      assert.deepEqual((await status()).failed, 3);

      const none = await index("retry", "--namespace", "nowhere");
      assert.deepEqual([none.code, none.stdout], [0, "No failed records match.\n"]);
      assert.match(
        (await index("retry", "--namespace", "tasks", "--id", "a")).stdout,
        /^1 records are due\./,
      );
      assert.deepEqual(await failed(), ["pages/a", "tasks/b", "tasks/c"]);
      const inStore = await runForObject(["index", "retry", "--store", store.storeId], settings);
      assert.deepEqual([inStore, await failed()], [{ retried: 2 }, ["tasks/c"]]);
      assert.deepEqual(await runForObject(["index", "retry"], settings), { retried: 1 });
      assert.deepEqual(await failed(), []);

      await indexAll(commands);
      const { pending, failed: left } = await status();
      assert.deepEqual([pending, left], [0, 0]);
    });
  });

  describe(`${engine.name}: tidemark index rebuild and status`, () => {
    test("begin a new index and show its progress, while searches use the old one", async (t) => {
      const { store, settings, index, status, commands } = await openIndexed(t, engine);
      const before = await index("status");
      assert.match(before.stdout, new RegExp(`^${store.storeId}  Test store: nothing to index yet\n$`));
      await store.sync({ operations: Array.from({ length: 400 }, (_, i) => upsert(`r${i}`)) });
      assert.match((await index("status")).stdout, /: 400 pending for .*, not built yet\n$/);
      await indexAll(commands);
      assert.match((await index("status")).stdout, /: up to date, lexical\n$/);

      const begun = await index("rebuild", "--store", store.storeId);
      assert.deepEqual([begun.code, begun.stderr], [0, ""]);
      assert.match(begun.stdout, new RegExp(`^${store.storeId}: began a new index, lexical.\n`));
      assert.match(begun.stdout, /tidemark index status/);
      assert.match((await index("status")).stdout, /building lexical: 0 % \(0 of 400 records\)\n$/);
      const { step } = await commands.prepareBuildStep(store.storeId);
      await commands.publishBuildStep(store.storeId, step!);
      const { builds } = await status();
      const [serving, building] = builds;
      assert.deepEqual([serving!.build, serving!.state, serving!.progress], [1, "active", undefined]);
      assert.deepEqual([building!.build, building!.state], [2, "building"]);
      const { records, of } = building!.progress!;
      assert.ok(records > 200 && records < of && of === 400, `${records} of ${of}`);
      const shown = `building lexical: ${Math.floor(records / 4)} % (${records} of 400 records)`;
      assert.ok(
        (await runTidemark(["status"], settings)).stdout.includes(`  index: up to date, lexical, ${shown}\n`),
      );

      await indexAll(commands);
      const [built, ...others] = (await status()).builds;
      assert.deepEqual([built!.build, built!.state, built!.chunks, others], [2, "active", 400, []]);
    });

    test("use the environment's model, and lose a store's embeddings only with --lexical", async (t) => {
      const endpoint = await startEmbeddingsServer(t);
      const { store, settings, index, status, storage, clock } = await openIndexed(t, engine);
      const embeddings = (embeddingsModel: string) =>
        openCommands(
          storage,
          readConfig({}, { embeddingsUrl: endpoint.url, embeddingsModel }),
          () => clock.now,
        );
      await store.sync({ operations: [upsert("a")] });
      await indexAll(embeddings("first-model"));
      const serving = async () => {
        const { builds } = await status();
        return builds.map(({ state, model, dimensions }) => [state, model, dimensions]);
      };
      assert.deepEqual(await serving(), [["active", "first-model", 64]]);

      const refused = await index("rebuild", "--all");
      assert.deepEqual([refused.code, refused.stdout], [1, ""]);
      assert.match(refused.stderr, /^tidemark: vs_\S+ has embeddings of first-model, .*--lexical.*\n$/);
      const environment = {
        ...settings,
        TIDEMARK_EMBEDDINGS_URL: endpoint.url,
        TIDEMARK_EMBEDDINGS_MODEL: "second-model",
      };
      const contrary = await runTidemark(["index", "rebuild", "--all", "--lexical"], environment);
      assert.equal(contrary.code, 1);
      assert.match(contrary.stderr, /^tidemark: --lexical needs an environment without embeddings.*\n$/);
      assert.equal((await serving()).length, 1, "nothing was begun");

      const [begun] = await runForObject(["index", "rebuild", "--all"], environment);
      assert.deepEqual(
        begun.builds.map(({ model }: { model: string }) => model),
        ["first-model", "second-model"],
      );
      await indexAll(embeddings("second-model"));
      assert.deepEqual(await serving(), [["active", "second-model", 64]]);

      await index("rebuild", "--all", "--lexical");
      await indexAll(openCommands(storage, readConfig({}), () => clock.now));
      assert.deepEqual(await serving(), [["active", null, null]]);
    });

    test("with --wait end when searches use the new index", async (t) => {
      const { store, index, status, commands } = await openIndexed(t, engine);
      await store.sync({ operations: [upsert("a"), upsert("b")] });
      await indexAll(commands);
      const indexer = startIndexer(commands, openLog({ logLevel: "silent" }));
      whenDone(t, () => indexer.stop());
      const { code, stdout, stderr } = await index("rebuild", "--store", store.storeId, "--wait");
      assert.deepEqual([code, stderr], [0, ""]);
      assert.match(stdout, /\nDone: searches use the new indexes.\n$/);
      assert.deepEqual(
        (await status()).builds.map(({ build, state }) => [build, state]),
        [[2, "active"]],
      );
      await indexer.stop();
    });
  });
}

test("tidemark index reports wrong options and missing stores in one line", async (t) => {
  const { index } = await openIndexed(t, engines[0]!);
  for (const args of [["rebuild"], ["rebuild", "--all", "--store", "vs_x"]]) {
    const { code, stderr } = await index(...args);
    assert.equal(code, 1);
    assert.match(stderr, /^error: give either --store or --all$/m);
  }
  for (const command of ["status", "failed", "retry", "rebuild"]) {
    const { code, stdout, stderr } = await index(command, "--store", "vs_no");
    assert.deepEqual([code, stdout], [1, ""]);
    assert.match(stderr, /^tidemark: There is no vector store vs_no\.\n$/);
  }
});
