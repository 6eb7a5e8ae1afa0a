import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import type { SearchRequest } from "@tidemark/protocol/search";
import { openCommands } from "../../src/commands.ts";
import { readConfig } from "../../src/config.ts";
import { openStorage } from "../../src/storage/open.ts";
import { startEmbeddingsServer } from "../embeddings-server.ts";
import { postgres, type TestEngine } from "../engines.ts";
import { BUILD, bringUpToDate, change, chunkOf, look } from "../index-rows.ts";
import { vectorEngines } from "../pgvector-engine.ts";
import { openTestLedger, storeOf } from "../test-ledger.ts";
import { whenDone } from "../when-done.ts";

const upsert = (id: string, title: string, namespace = "tasks", data: object = {}) => ({
  action: "upsert",
  id,
  namespace,
  data: { title, ...data },
});

/** A store on a server with an embeddings endpoint, for which texts that share words are near. */
async function openEmbedding(t: TestContext, engine: TestEngine) {
  const embeddings = await startEmbeddingsServer(t);
  const ledger = await openTestLedger(t, engine);
  const { storage, clock } = ledger;
  const config = readConfig({}, { embeddingsUrl: embeddings.url, embeddingsModel: "words-64" });
  const commands = openCommands(storage, config, () => clock.now);
  const store = storeOf(commands, await ledger.createStore());
  await commands.beginBuild(store.storeId, "{}");
  return {
    ...{ embeddings, ledger, commands, store },
    index: () => bringUpToDate({ commands, clock }, store),
    search: (query: string, fields: Partial<SearchRequest> = {}) =>
      commands.search(store.organizationId, store.storeId, { query, ...fields }),
  };
}

for (const engine of vectorEngines) {
  describe(`${engine.name}: search by meaning`, () => {
    test("records are found by nearness, each by its current text, and no longer once they are gone", async (t) => {
      const { store, index, search, embeddings } = await openEmbedding(t, engine);
      const ids = async (...of: Parameters<typeof search>) => (await search(...of)).data.map(({ id }) => id);
      await store.sync({
        operations: [
          upsert("zebra", "running zebra herd"),
          upsert("machine", "coffee machine manual"),
          upsert("herd", "a herd of cows", "notes"),
        ],
      });
      await index();
      assert.deepEqual((await ids("zebra herd", { mode: "semantic" })).slice(0, 2), ["zebra", "herd"]);
      assert.deepEqual(await ids("zebra herd", { mode: "semantic", namespaces: ["notes"] }), ["herd"]);
      const hybrid = await search("zebra herd");
      assert.deepEqual([hybrid.mode, hybrid.data[0]!.id, hybrid.warnings], ["hybrid", "zebra", undefined]);

      const embedded = embeddings.texts.length;
      await store.sync({ operations: [upsert("machine", "a herd of zebra"), upsert("zebra", "coffee")] });
      await index();
      assert.deepEqual((await ids("zebra herd", { mode: "semantic" })).slice(0, 2), ["machine", "herd"]);
      await store.sync({ operations: [upsert("machine", "coffee machine manual")] });
      await store.sync({ operations: [{ action: "delete", id: "herd", namespace: "notes" }] });
      assert.deepEqual(await ids("zebra herd", { mode: "semantic" }), ["machine", "zebra"]);
      await index();
      // Texts that were embedded before are not embedded again.
      const texts = embeddings.texts.slice(embedded).filter((text) => text !== "zebra herd");
      assert.deepEqual(texts.sort(), ["a herd of zebra", "coffee"]);
    });

    test("records that match a filter are found behind nearer records, even if one of those was deleted", async (t) => {
      const { store, index, search } = await openEmbedding(t, engine);
      const shut = Array.from({ length: 150 }, (_, n) => upsert(`near-${n}`, `zebra herd w${n}`));
      const open = Array.from({ length: 20 }, (_, n) =>
        upsert(`far-${n}`, `zebra coffee machine w${n}`, "tasks", { open: true }),
      );
      await store.sync({ operations: [...shut, ...open] });
      await index();
      const find = () => search("zebra herd", { mode: "semantic", filter: { open: true } });
      const before = (await find()).data;
      assert.equal(before.length, 10);
      await store.sync({ operations: [{ action: "delete", id: "near-0", namespace: "tasks" }] });
      await index();
      assert.deepEqual((await find()).data, before);
    });
  });
}

describe("PostgreSQL without pgvector", () => {
  test("search is lexical with a warning, indexing continues, and the operator gets a warning", async (t) => {
    const { ledger, store, index, search } = await openEmbedding(t, postgres);
    const { storage, databaseUrl } = ledger;
    const [installed] = await storage.read((sql) =>
      sql.all("SELECT 1 FROM pg_extension WHERE extname = 'vector'"),
    );
    if (installed) return t.skip("this server has it");
    const what = /pgvector.*CREATE EXTENSION vector/;
    await store.sync({ operations: [upsert("zebra", "running zebra herd")] });
    await index();
    const answer = await search("zebra");
    assert.deepEqual(
      answer.data.map(({ id }) => id),
      ["zebra"],
    );
    assert.equal(answer.mode, "lexical");
    assert.match(answer.warnings!.join(), what);
    await assert.rejects(search("zebra", { mode: "semantic" }), { code: "VALIDATION_ERROR" });

    assert.match((await storage.index.maintainVectors(store.storeId))!, what);
    for (const embeds of [false, true]) {
      const again = await openStorage(databaseUrl, { embeds });
      whenDone(t, () => again.close());
      assert.equal(what.test(again.warnings.join("\n")), embeds);
    }
  });

  test("a store without vectors does not need pgvector", async (t) => {
    const ledger = await openTestLedger(t, postgres);
    const store = await ledger.createStore();
    await change(ledger, store, async (index) => {
      await index.putBuild(BUILD);
      await index.addChunks(1, [chunkOf(0, {})]);
    });
    const query = new Float32Array([1, 0, 0]);
    assert.deepEqual(await look(ledger, store, (index) => index.nearest(BUILD, query, null, 5)), []);
    assert.equal(await ledger.storage.index.maintainVectors(store.storeId), null);
  });
});
