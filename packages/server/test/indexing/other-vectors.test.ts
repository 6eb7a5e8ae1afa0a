import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { openCommands } from "../../src/commands.ts";
import { readConfig } from "../../src/config.ts";
import { faults, startEmbeddingsServer } from "../embeddings-server.ts";
import { engines, type TestEngine } from "../engines.ts";
import { upsert } from "../http/pipeline.ts";
import { openTestLedger, storeOf } from "../test-ledger.ts";
import { createTenant, indexAll } from "../test-server.ts";

/** A store that is indexed only when the test calls `index`. */
async function openStopped(t: TestContext, engine: TestEngine) {
  const endpoint = await startEmbeddingsServer(t);
  const { storage, clock } = await openTestLedger(t, engine);
  /** The commands of another process with this model. */
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
  describe(`${engine.name}: a rebuild with another model`, () => {
    test("keeps records whose text the endpoint refuses: lexical search finds them", async (t) => {
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

    test("keeps the vectors that it got before the endpoint failed", async (t) => {
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
      // The last of the four requests has the remaining texts.
      assert.ok(store.endpoint.texts.length - from <= 132, `${store.endpoint.texts.length - from} texts`);
    });
  });

  test(`${engine.name}: a new model's vectors are separate from an earlier model's, even after a build without one`, async (t) => {
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

  test(`${engine.name}: vectors with other dimensions than the store's are never saved, by any process`, async (t) => {
    const store = await openStopped(t, engine);
    await store.put(["one", "two"]);
    await store.index();
    assert.equal(await store.vectors(), 2);
    await store.put(["three", "four"]);
    store.endpoint.fault = faults.dimensions(32);
    // Another process, which does not know the dimensions yet.
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
    assert.equal(await store.vectors(), 2, "none in a new build");
    store.endpoint.fault = null;
    for (let tries = 0; tries < 3; tries++) {
      await indexAll(next);
      store.clock.now += 60_000;
    }
    assert.equal(await store.vectors(), 4);
    const mode = (await store.canCompare()) ? "hybrid" : "lexical";
    assert.equal((await search()).mode, mode);
  });
}
