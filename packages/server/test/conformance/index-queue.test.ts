import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { openStorage } from "../../src/storage/open.ts";
import type { Storage } from "../../src/storage/port.ts";
import { engines } from "../engines.ts";
import { openTestLedger, type TestStore } from "../test-ledger.ts";
import { whenDone } from "../when-done.ts";

const upsert = (id: string, data: object = {}) => ({ action: "upsert", id, namespace: "tasks", data });
const numbered = (count: number) => Array.from({ length: count }, (_, index) => `id-${index}`);

/** Claims every entry that is due. @returns the versions and how often each failed */
async function claimAll(storage: Storage, { storeId }: TestStore, now: number, until = now + 1000) {
  const entries = await storage.index.claim(storeId, now, until, 1_000_000);
  return entries.map(({ id, attempts }) => [id, attempts]);
}

for (const engine of engines) {
  describe(`${engine.name}: the index queue`, () => {
    test("entries are claimed oldest first, up to a limit, and not again before the claim ends", async (t) => {
      const { storage, createStore } = await openTestLedger(t, engine);
      const [store, other] = [await createStore(), await createStore()];
      await store.sync({ operations: ["a", "b", "c"].map((id) => upsert(id)) });
      await store.sync({ operations: [upsert("b", { n: 1 })] });
      await other.sync({ operations: [upsert("x")] });

      const first = await storage.index.claim(store.storeId, 1000, 2000, 2);
      assert.deepEqual(
        first.map(({ namespace, id, attempts }) => ({ namespace, id, attempts })),
        ["a", "b"].map((id) => ({ namespace: "tasks", id, attempts: 0 })),
      );
      assert.deepEqual(await claimAll(storage, store, 1999), [
        ["c", 0],
        ["b", 0],
      ]);
      assert.deepEqual(await claimAll(storage, store, 1999), []);
      const claimedLater = await storage.index.claim(store.storeId, 2000, 9000, 10);
      assert.deepEqual(claimedLater, first);
    });

    test("two processes never claim the same entry", async (t) => {
      const { storage, databaseUrl, createStore } = await openTestLedger(t, engine);
      const store = await createStore();
      const second = await openStorage(databaseUrl);
      whenDone(t, () => second.close());
      await store.sync({ operations: numbered(1000).map((id) => upsert(id)) });
      const taken: number[] = [];
      const take = async (by: Storage) => {
        const entries = await by.index.claim(store.storeId, 1000, 2000, 30);
        taken.push(...entries.map(({ version }) => version));
      };
      for (let round = 0; round < 15; round++) {
        // Within one process, SQLite's writers would wait for each other forever.
        if (engine.servers === 1) for (const by of [storage, second]) await take(by);
        else await Promise.all([storage, second, storage, second].map(take));
      }
      assert.ok(taken.length > 0);
      for (;;) {
        const rest = await second.index.claim(store.storeId, 1000, 2000, 30);
        if (rest.length === 0) break;
        taken.push(...rest.map(({ version }) => version));
      }
      assert.equal(new Set(taken).size, 1000);
      assert.equal(taken.length, 1000);
    });

    test("a deferred entry comes back when it is due, with its failures; a failed one does not", async (t) => {
      const { storage, createStore } = await openTestLedger(t, engine);
      const store = await createStore();
      await store.sync({ operations: ["a", "b", "c", "d"].map((id) => upsert(id)) });
      const entries = await storage.index.claim(store.storeId, 1000, 2000, 10);
      const [a, b, c, d] = entries.map(({ version }) => version) as [number, number, number, number];
      await storage.index.defer(store.storeId, [
        { version: d, attempts: 0, error: null, dueAt: 1500 },
        { version: a, attempts: 2, error: "too long", dueAt: 5000 },
        { version: b, attempts: 6, error: 'a "quoted"\\ \n reason', dueAt: null },
        { version: c, attempts: 1, error: "odd", dueAt: 1500 },
      ]);
      await storage.index.defer(store.storeId, [{ version: c, attempts: 1, error: null, dueAt: 1600 }]);
      assert.deepEqual(await claimAll(storage, store, 1500), [["d", 0]]);
      assert.deepEqual(await claimAll(storage, store, 4999, 10_000), [
        ["c", 1],
        ["d", 0],
      ]);
      assert.deepEqual(await claimAll(storage, store, 5000), [["a", 2]]);
      assert.deepEqual(await claimAll(storage, store, 9_000_000_000_000), [
        ["a", 2],
        ["c", 1],
        ["d", 0],
      ]);
      const errors = await storage.read((sql) =>
        sql.all("SELECT id, error FROM index_queue WHERE store_id = $1 ORDER BY id", [store.storeId]),
      );
      assert.deepEqual(
        errors.map(({ id, error }) => [id, error]),
        [
          ["a", "too long"],
          ["b", 'a "quoted"\\ \n reason'],
          ["c", "odd"],
          ["d", null],
        ],
      );
    });

    test("deferring an entry that was settled meanwhile does not bring it back", async (t) => {
      const { storage, createStore } = await openTestLedger(t, engine);
      const store = await createStore();
      await store.sync({ operations: ["a", "b"].map((id) => upsert(id)) });
      const [a, b] = await storage.index.claim(store.storeId, 1000, 2000, 10);
      const versions = [b!.version, a!.version];
      await storage.ledger(store.storeId, async ({ index }) => {
        assert.deepEqual(await index.queued([...versions, 5]), new Set(versions));
        await index.settle([a!.version, 5]);
        assert.deepEqual(await index.queued(versions), new Set([b!.version]));
        await index.settle([]);
      });
      await storage.index.defer(
        store.storeId,
        versions.map((version) => ({ version, attempts: 0, error: null, dueAt: 0 })),
      );
      await storage.index.defer(store.storeId, []);
      assert.deepEqual(await claimAll(storage, store, 1000), [["b", 0]]);
    });

    test("pending entries are counted up to a revision, without failed ones", async (t) => {
      const { storage, createStore } = await openTestLedger(t, engine);
      const store = await createStore();
      await store.sync({ operations: ["a", "b", "c"].map((id) => upsert(id)) });
      await store.sync({ operations: [upsert("d")] });
      const [a, b] = await storage.index.claim(store.storeId, 1000, 2000, 2);
      await storage.index.defer(store.storeId, [
        { version: a!.version, attempts: 6, error: "no", dueAt: null },
        { version: b!.version, attempts: 1, error: "not now", dueAt: 9_000_000_000_000 },
      ]);
      const pending = (revision: number | null) =>
        storage.index.search(store.storeId, (index) => index.pending(revision, 10));
      assert.deepEqual(
        [await pending(0), await pending(1), await pending(2), await pending(null)],
        [0, 2, 3, 3],
      );
    });

    test("a store tells whether an entry is due and whether a build is in progress", async (t) => {
      const { storage, commands, clock, createStore } = await openTestLedger(t, engine);
      const [idle, busy, gone] = [await createStore(), await createStore(), await createStore()];
      const states = async (now: number) => {
        const stores = await storage.index.stores(now);
        return stores.map(({ storeId, due, building }) => ({ storeId, due, building }));
      };
      const stateOf = async (store: TestStore, now = 1000) =>
        (await states(now)).find(({ storeId }) => storeId === store.storeId);
      assert.equal((await states(1000)).length, 3);
      await busy.sync({ operations: [upsert("a")] });
      await gone.sync({ operations: [upsert("a")] });
      await commands.deleteVectorStore(gone.organizationId, gone.storeId, clock.now);

      assert.deepEqual(await stateOf(idle), { storeId: idle.storeId, due: false, building: false });
      assert.deepEqual(await stateOf(busy), { storeId: busy.storeId, due: true, building: false });
      assert.equal(await stateOf(gone), undefined);
      await storage.index.claim(busy.storeId, 1000, 2000, 10);
      assert.equal((await stateOf(busy, 1999))?.due, false);
      assert.equal((await stateOf(busy, 2000))?.due, true);
      await commands.beginBuild(idle.storeId, "{}");
      assert.equal((await stateOf(idle))?.building, false);
      await commands.beginBuild(idle.storeId, "{}", true);
      assert.equal((await stateOf(idle))?.building, true);
    });

    // SQLite has one writer.
    if (engine.name !== "SQLite") {
      test("deferring and renewing claims do not wait for the store lock", async (t) => {
        const { storage, createStore } = await openTestLedger(t, engine);
        const store = await createStore();
        await store.sync({ operations: ["a", "b"].map((id) => upsert(id)) });
        const [a, b] = await storage.index.claim(store.storeId, 1000, 2000, 10);
        const begun = Promise.withResolvers<void>();
        const end = Promise.withResolvers<void>();
        const turn = storage.ledger(store.storeId, async ({ index }) => {
          await index.queued([b!.version]);
          begun.resolve();
          await end.promise;
        });
        await begun.promise;
        await storage.index.defer(store.storeId, [
          { version: a!.version, attempts: 1, error: "no", dueAt: 0 },
        ]);
        // No other process can claim the entries that are being published.
        assert.deepEqual(await claimAll(storage, store, 2000), [["a", 1]]);
        end.resolve();
        await turn;
        assert.deepEqual(await claimAll(storage, store, 2000), [["b", 0]]);
      });
    }
  });
}
