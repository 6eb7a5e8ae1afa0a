import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { openCommands } from "../../src/commands.ts";
import { readConfig } from "../../src/config.ts";
import { faults, startEmbeddingsServer } from "../embeddings-server.ts";
import { engines, type TestEngine } from "../engines.ts";
import { upsert } from "../http/pipeline.ts";
import { openTestLedger, storeOf } from "../test-ledger.ts";
import { createTenant, indexAll } from "../test-server.ts";

/** A store whose index goes on only when the test says so. */
async function openStopped(t: TestContext, engine: TestEngine) {
  const endpoint = await startEmbeddingsServer(t);
  const { storage, clock } = await openTestLedger(t, engine);
  /** The commands of another process, whose endpoint has this model. */
  const commandsFor = (embeddingsModel: string) =>
    openCommands(storage, readConfig({}, { embeddingsUrl: endpoint.url, embeddingsModel }), () => clock.now);
  const commands = commandsFor("test-model");
  const store = storeOf(commands, await createTenant(commands, clock.now));
  return {
    ...store,
    endpoint,
    storage,
    clock,
    commandsFor,
    index: () => indexAll(commands),
    put: (ids: string[]) =>
      store.sync({ operations: ids.map((id) => upsert(id, { data: { title: `record ${id}` } })) }),
    /** Whether the database can compare vectors. */
    canCompare: async () =>
      (await storage.index.search(store.storeId, (index) => index.vectorProblem())) === null,
    async vectors(): Promise<number> {
      const [row] = await storage.read((sql) => sql.all("SELECT count(*) AS count FROM vectors"));
      return Number(row!.count);
    },
  };
}

for (const engine of engines) {
  describe(`${engine.name}: a new index with another model`, () => {
    test("has the records whose text the endpoint refuses: they are found by their words", async (t) => {
      const store = await openStopped(t, engine);
      const ids = Array.from({ length: 10 }, (_, index) => `r${index}`);
      await store.put(ids);
      await store.index();
      const other = store.commandsFor("other-model");
      const refused = ["r3", "r7", "r8", "r9"];
      store.endpoint.fault = (exchange) =>
        exchange.request.texts.some((text) => refused.some((id) => text.includes(id)))
          ? faults.status(400)(exchange)
          : exchange.reply();
      await other.beginBuild(store.storeId, "{}", true);
      for (let tries = 0; tries < 3; tries++) {
        await indexAll(other);
        store.clock.now += 3_600_000;
      }
      const search = async (mode: "lexical" | "semantic") => {
        const request = { query: "record", mode, limit: 100 };
        const { data } = await other.search(store.organizationId, store.storeId, request);
        return data.map(({ id }) => id).sort();
      };
      assert.deepEqual(await search("lexical"), ids);
      if (await store.canCompare()) {
        assert.deepEqual(
          await search("semantic"),
          ids.filter((id) => !refused.includes(id)),
        );
      }
    });

    test("keeps what was embedded before the endpoint failed", async (t) => {
      const store = await openStopped(t, engine);
      await store.put(Array.from({ length: 100 }, (_, index) => `r${index}`));
      await store.index();
      const other = store.commandsFor("other-model");
      await other.beginBuild(store.storeId, "{}", true);
      const from = store.endpoint.texts.length;
      store.endpoint.next = [null, null, null, faults.status(503)];
      for (let tries = 0; tries < 3; tries++) {
        await indexAll(other);
        store.clock.now += 3_600_000;
      }
      assert.equal(new Set(store.endpoint.texts.slice(from)).size, 100);
      // The last of four requests has what is left of them.
      assert.ok(store.endpoint.texts.length - from <= 132, `${store.endpoint.texts.length - from} texts`);
    });
  });

  test(`${engine.name}: a model that comes after a time without one has its vectors apart from those of an earlier one`, async (t) => {
    const store = await openStopped(t, engine);
    await store.put(["one", "two"]);
    await store.index();
    const lexical = openCommands(store.storage, readConfig({}), () => store.clock.now);
    await lexical.beginBuild(store.storeId, "{}", true);
    await indexAll(lexical);
    while ((await store.storage.index.sweep(store.clock.now)).more);
    assert.equal((await store.storage.index.builds(store.storeId)).length, 1);
    store.endpoint.fault = faults.dimensions(32);
    const other = store.commandsFor("other-model");
    await indexAll(other);
    const rows = await store.storage.read((sql) =>
      sql.all("SELECT space, count(*) AS count FROM vectors GROUP BY space"),
    );
    assert.deepEqual(
      rows.map(({ count }) => Number(count)),
      [2, 2],
    );
    if (await store.canCompare()) {
      const request = { query: "record two", mode: "semantic", limit: 1 } as const;
      const { data } = await other.search(store.organizationId, store.storeId, request);
      assert.deepEqual(
        data.map(({ id }) => id),
        ["two"],
      );
    }
  });

  test(`${engine.name}: vectors of other dimensions than the store has are never kept, whoever gets them first`, async (t) => {
    const store = await openStopped(t, engine);
    await store.put(["one", "two"]);
    await store.index();
    assert.equal(await store.vectors(), 2);
    await store.put(["three", "four"]);
    store.endpoint.fault = faults.dimensions(32);
    // Another process, which has never seen an answer.
    const next = store.commandsFor("test-model");
    for (let tries = 0; tries < 4; tries++) {
      await indexAll(next);
      store.clock.now += 60_000;
    }
    assert.equal(await store.vectors(), 2, "none of 32 dimensions");
    const search = () => next.search(store.organizationId, store.storeId, { query: "record two", limit: 1 });
    const answer = await search();
    assert.deepEqual([answer.mode, answer.warnings?.length, answer.data[0]?.id], ["lexical", 1, "two"]);

    await next.beginBuild(store.storeId, "{}", true);
    await indexAll(next);
    assert.equal(await store.vectors(), 2, "nor in a new index");
    store.endpoint.fault = null;
    for (let tries = 0; tries < 3; tries++) {
      await indexAll(next);
      store.clock.now += 60_000;
    }
    assert.equal(await store.vectors(), 4);
    const well = (await store.canCompare()) ? "hybrid" : "lexical";
    assert.equal((await search()).mode, well);
  });
}
