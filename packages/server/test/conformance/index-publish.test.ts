import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Prepared } from "../../src/indexing/prepare.ts";
import { openStorage } from "../../src/storage/open.ts";
import { engines } from "../engines.ts";
import { bringUpToDate, foundRecords, mergeAll, WORDS } from "../index-rows.ts";
import { ledgerOver, openTestLedger, sweepAll, type TestLedger, type TestStore } from "../test-ledger.ts";
import { whenDone } from "../when-done.ts";

const upsert = (id: string, title: string, namespace = "tasks") => ({
  action: "upsert",
  id,
  namespace,
  data: { title },
});
const remove = (id: string) => ({ action: "delete", id, namespace: "tasks" });

/** Claims and prepares all queue entries, without publishing them. */
async function prepareAll({ commands }: TestLedger, { storeId }: TestStore): Promise<Prepared> {
  const entries = await commands.claimEntries(storeId);
  assert.ok(entries.length > 0);
  return (await commands.prepareEntries(storeId, entries))!;
}

/** What may happen to a record between reading its content and publishing it. */
const CHANGES: [
  what: string,
  syncs: { operations: object[]; sync_mode?: "full_refresh" }[],
  finds: string[],
][] = [
  ["updated", [{ operations: [upsert("a", "cherry")] }], ["a cherry"]],
  [
    "updated twice",
    ["cherry", "damson"].map((title) => ({ operations: [upsert("a", title)] })),
    ["a damson"],
  ],
  [
    "updated and changed back",
    ["cherry", "banana"].map((title) => ({ operations: [upsert("a", title)] })),
    ["a banana"],
  ],
  ["deleted", [{ operations: [remove("a")] }], []],
  [
    "deleted and created again",
    [{ operations: [remove("a")] }, { operations: [upsert("a", "cherry")] }],
    ["a cherry"],
  ],
  [
    "cleared by a refresh",
    [{ sync_mode: "full_refresh", operations: [upsert("b", "cherry")] }],
    ["b cherry"],
  ],
  [
    "carried by a refresh",
    [{ sync_mode: "full_refresh", operations: [upsert("a", "banana")] }],
    ["a banana"],
  ],
];

for (const engine of engines) {
  describe(`${engine.name}: publishing`, () => {
    for (const [what, syncs, finds] of CHANGES) {
      test(`a record that is ${what} meanwhile is found by its current content only`, async (t) => {
        const ledger = await openTestLedger(t, engine);
        const store = await ledger.createStore();
        await ledger.commands.beginBuild(store.storeId, "{}");
        await store.sync({ operations: [upsert("a", "apple")] });
        await bringUpToDate(ledger, store);
        await store.sync({ operations: [upsert("a", "banana")] });
        const prepared = await prepareAll(ledger, store);
        for (const sync of syncs) await store.sync(sync);
        await ledger.commands.publishEntries(store.storeId, prepared);

        const between = await foundRecords(ledger, store);
        if (finds.length === 0) assert.deepEqual(between, []);
        await bringUpToDate(ledger, store);
        assert.deepEqual(await foundRecords(ledger, store), finds);
        await ledger.commands.publishEntries(store.storeId, prepared);
        await bringUpToDate(ledger, store);
        assert.deepEqual(await foundRecords(ledger, store), finds);
        await sweepAll(ledger.storage, ledger.clock.now);
        await bringUpToDate(ledger, store);
        const [counted] = await ledger.storage.read((sql) =>
          sql.all("SELECT count(*) AS chunks FROM chunks WHERE store_id = $1", [store.storeId]),
        );
        assert.equal(Number(counted!.chunks), finds.length);
      });
    }

    test("publishing twice, or by two processes, has the effect of publishing once", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const second = await openStorage(ledger.databaseUrl);
      whenDone(t, () => second.close());
      const other = ledgerOver(second);
      const store = await ledger.createStore();
      await ledger.commands.beginBuild(store.storeId, "{}");
      await store.sync({ operations: Array.from({ length: 50 }, (_, n) => upsert(`id-${n}`, `apple ${n}`)) });
      const prepared = await prepareAll(ledger, store);
      ledger.clock.now += 60_000;
      other.clock.now = ledger.clock.now;
      const preparedLater = await prepareAll({ ...other, databaseUrl: ledger.databaseUrl }, store);
      const publish = [
        () => ledger.commands.publishEntries(store.storeId, prepared),
        () => other.commands.publishEntries(store.storeId, preparedLater),
        () => ledger.commands.publishEntries(store.storeId, preparedLater),
      ];
      // Within one process, SQLite's writers would wait for each other forever.
      if (engine.servers === 1) for (const run of publish) await run();
      else await Promise.all(publish.map((run) => run()));
      const [build] = await ledger.storage.index.builds(store.storeId);
      // The title has two words, which count twice, and the id has three terms: its two parts and their whole.
      assert.deepEqual([build!.chunks, build!.terms], [50, 50 * 7]);
      const live = await ledger.storage.index.liveChunks(store.storeId, 1, 0, 1000);
      assert.equal(live.length, 50);
      assert.equal((await foundRecords(ledger, store)).length, 50);
    });

    test("a staged run that was indexed early is found as soon as it is applied", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const store = await ledger.createStore();
      await ledger.commands.beginBuild(store.storeId, "{}");
      await store.sync({ operations: [upsert("a", "apple"), upsert("b", "banana"), upsert("c", "cherry")] });
      await bringUpToDate(ledger, store);
      const part = (last_batch: boolean, operations: object[]) =>
        store.sync({
          sync_mode: "full_refresh",
          sync_timestamp: "2025-11-11T10:31:00Z",
          last_batch,
          operations,
        });
      await part(false, [upsert("a", "damson"), upsert("b", "banana")]);
      await bringUpToDate(ledger, store);
      const before = ["a apple", "b banana", "c cherry"];
      assert.deepEqual(await foundRecords(ledger, store), before);
      await part(true, []);
      assert.deepEqual(await foundRecords(ledger, store), ["a damson", "b banana"]);
      await bringUpToDate(ledger, store);
      assert.deepEqual(await foundRecords(ledger, store), ["a damson", "b banana"]);
    });

    test("an applied refresh does not undo the indexing of records that were indexed after it was staged", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const { commands } = ledger;
      const store = await ledger.createStore();
      await commands.beginBuild(store.storeId, "{}");
      const part = (minute: number, last_batch: boolean, operations: object[]) =>
        store.sync({
          sync_mode: "full_refresh",
          sync_timestamp: `2025-11-11T10:${minute}:00Z`,
          last_batch,
          operations,
        });
      await store.sync({ operations: [upsert("a", "apple"), upsert("b", "apple")] });
      await bringUpToDate(ledger, store);
      // The refresh's new versions wait, as if they had failed; versions of other syncs are indexed.
      await part(33, false, [
        ...["a", "b", "c"].map((id) => upsert(id, "damson")),
        upsert("n", "damson", "notes"),
      ]);
      await commands.claimEntries(store.storeId);
      await part(32, false, [upsert("b", "cherry"), upsert("c", "cherry")]);
      await store.sync({
        operations: [upsert("a", "banana"), upsert("n", "banana", "notes")],
        sync_timestamp: "2025-11-11T10:31:00Z",
      });
      await commands.publishEntries(store.storeId, await prepareAll(ledger, store));
      assert.deepEqual(await foundRecords(ledger, store), ["a banana", "b apple", "n banana"]);
      await part(32, true, [upsert("a", "banana")]);
      const before = ["a banana", "b cherry", "c cherry", "n banana"];
      assert.deepEqual(await foundRecords(ledger, store), before);
      await part(33, true, []);
      assert.deepEqual(await foundRecords(ledger, store), before);

      ledger.clock.now += 60_000;
      await bringUpToDate(ledger, store);
      assert.deepEqual(
        await foundRecords(ledger, store),
        ["a", "b", "c", "n"].map((id) => `${id} damson`),
      );
      const [build] = await ledger.storage.index.builds(store.storeId);
      await sweepAll(ledger.storage, ledger.clock.now);
      await bringUpToDate(ledger, store);
      assert.equal((await ledger.storage.index.liveChunks(store.storeId, build!.build, 0, 1000)).length, 4);
    });

    test("a build replaces another when it has every record, including those that changed meanwhile", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const { commands, storage } = ledger;
      const store = await ledger.createStore();
      await commands.beginBuild(store.storeId, "{}");
      const titles = new Map(Array.from({ length: 400 }, (_, n) => [`id-${n}`, `${WORDS[n % 5]} ${n}`]));
      await store.sync({ operations: [...titles].map(([id, title]) => upsert(id, title)) });
      await bringUpToDate(ledger, store);

      await commands.beginBuild(store.storeId, "{}", true);
      const { step } = await commands.prepareBuildStep(store.storeId);
      // Behind the step, in it, and new.
      for (const id of ["id-399", "id-0", "id-new"]) titles.set(id, "banana");
      titles.delete("id-1");
      await store.sync({
        operations: [upsert("id-0", "banana"), upsert("id-new", "banana"), remove("id-1")],
      });
      await bringUpToDate(ledger, store, { walks: false });
      await store.sync({ operations: [upsert("id-399", "banana")] });
      await commands.publishBuildStep(store.storeId, step!);
      await commands.publishBuildStep(store.storeId, step!);
      const before = await storage.index.builds(store.storeId);
      assert.deepEqual(
        before.map(({ state }) => state),
        ["active", "building"],
      );
      await bringUpToDate(ledger, store);
      const after = await storage.index.builds(store.storeId);
      assert.deepEqual(
        after.map(({ state }) => state),
        ["retired", "active"],
      );
      assert.equal(after[1]!.chunks, 400);
      assert.deepEqual(
        await foundRecords(ledger, store),
        [...titles].map(([id, title]) => `${id} ${title}`).sort(),
      );
      while ((await storage.index.sweep(ledger.clock.now)).more);
      assert.equal((await storage.index.builds(store.storeId)).length, 1);
      assert.deepEqual(await storage.index.liveChunks(store.storeId, 1, 0, 10_000), []);
      assert.deepEqual(await storage.index.blocks(store.storeId, 1, 0, null), []);
      assert.equal((await foundRecords(ledger, store)).length, 400);
    });

    test("two processes that merge the same segments end with one merged segment", async (t) => {
      const ledger = await openTestLedger(t, engine);
      const second = await openStorage(ledger.databaseUrl);
      whenDone(t, () => second.close());
      const other = ledgerOver(second);
      const store = await ledger.createStore();
      await ledger.commands.beginBuild(store.storeId, "{}");
      for (let n = 0; n < 12; n++) {
        await store.sync({ operations: [upsert(`id-${n}`, `apple ${n}`)] });
        await bringUpToDate(ledger, store);
      }
      await store.sync({ operations: [remove("id-3")] });
      await bringUpToDate(ledger, store);
      const inputs = (await ledger.commands.findMerge(store.storeId))!;
      assert.deepEqual(await other.commands.findMerge(store.storeId), inputs);
      const merge = (await ledger.commands.beginMerge(store.storeId, inputs))!;
      assert.equal(await other.commands.beginMerge(store.storeId, inputs), null);
      const blocks = (await ledger.commands.nextMerged(store.storeId, merge))!;

      // The first process is silent for too long: another takes over, and the first one's result is discarded.
      other.clock.now += 10 * 60_000;
      const otherMerge = (await other.commands.beginMerge(store.storeId, inputs))!;
      assert.equal(await ledger.commands.addToMerge(store.storeId, merge, blocks), false);
      await ledger.commands.finishMerge(store.storeId, merge);
      await mergeAll(other, store, otherMerge);
      const segments = await second.index.search(store.storeId, (index) => index.liveSegments(1));
      assert.ok(segments.some(({ segment }) => segment === otherMerge.into.segment));
      assert.ok(!segments.some(({ segment }) => inputs.segments.includes(segment)));
      const expected = Array.from({ length: 12 }, (_, n) => `id-${n} apple ${n}`).filter((_, n) => n !== 3);
      assert.deepEqual(await foundRecords(ledger, store), expected.sort());
      while ((await second.index.sweep(other.clock.now)).more);
      assert.deepEqual(
        (await second.index.segments(store.storeId, 1)).map(({ state }) => state),
        segments.map(() => "live"),
      );
      assert.deepEqual(await foundRecords(ledger, store), expected);
    });
  });
}
