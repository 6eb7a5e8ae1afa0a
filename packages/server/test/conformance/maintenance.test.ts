import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Storage } from "../../src/storage/port.ts";
import { engines } from "../engines.ts";
import { readRecords } from "../model/ledger-rows.ts";
import { forgetAll, openTestLedger, sweepAll } from "../test-ledger.ts";

const upsert = (id: string, data: object = {}, namespace = "tasks") => ({
  action: "upsert",
  id,
  namespace,
  data,
});
const remove = (id: string, namespace = "tasks") => ({ action: "delete", id, namespace });
const numbered = (count: number) => Array.from({ length: count }, (_, index) => `id-${index}`);
const at = (second: number) => `2025-11-11T10:30:${String(second).padStart(2, "0")}Z`;

async function countRows(storage: Storage, table: string, storeId: string): Promise<number> {
  const [row] = await storage.read((sql) =>
    sql.all(`SELECT count(*) AS rows FROM ${table} WHERE store_id = $1`, [storeId]),
  );
  return Number(row!.rows);
}

for (const engine of engines) {
  describe(`${engine.name}: maintenance`, () => {
    test("sweeping takes steps, and no step touches rows that readers see", async (t) => {
      const { storage, clock, createStore } = await openTestLedger(t, engine);
      const store = await createStore();
      const ids = numbered(5000);
      const refresh = (second: number, changed: (index: number) => boolean) =>
        store.sync({
          sync_mode: "full_refresh",
          sync_timestamp: at(second),
          operations: ids.flatMap((id, index) =>
            index % 5 === 4 ? [] : [upsert(id, { n: changed(index) ? second : 0 })],
          ),
        });
      await store.sync({ sync_timestamp: at(0), operations: ids.map((id) => upsert(id, { n: 0 })) });
      await refresh(1, (index) => index % 2 === 0);
      await refresh(2, (index) => index % 3 === 0);

      let records = await readRecords(storage, store.storeId);
      let steps = 0;
      while ((await storage.sweep(clock.now)).more) {
        steps++;
        assert.deepEqual(await readRecords(storage, store.storeId), records);
        if (steps !== 2) continue;
        // A sweep leaves syncs alone that are committed while it runs.
        await store.sync({
          sync_timestamp: at(3),
          operations: [upsert("id-0", { n: 3 }), remove("id-1"), upsert("x")],
        });
        await refresh(4, (index) => index % 7 === 0);
        records = await readRecords(storage, store.storeId);
      }
      assert.ok(steps > 3, `${steps} steps`);
      await readRecords(storage, store.storeId, { swept: true });
    });

    test("a record with more rows than one step reads is swept completely", async (t) => {
      const { storage, clock, createStore } = await openTestLedger(t, engine, { quick: true });
      const store = await createStore();
      for (let refresh = 0; refresh < 2100; refresh++) {
        await store.sync({ sync_mode: "full_refresh", operations: [upsert("a", { n: refresh % 2 })] });
      }
      await sweepAll(storage, clock.now);
      const records = await readRecords(storage, store.storeId, { swept: true });
      assert.deepEqual(
        records.map(({ content }) => content),
        [{ data: { n: 1 } }],
      );
    });

    test("sweeping an idle database reports that there is nothing to do", async (t) => {
      const { storage, clock, createStore } = await openTestLedger(t, engine);
      const store = await createStore();
      await store.sync({ operations: [upsert("a"), remove("b")] });
      assert.deepEqual(await storage.sweep(clock.now), { rows: 0, more: false });
    });

    test("tombstones are purged by their arrival, and their namespace remembers the newest", async (t) => {
      const { storage, clock, createStore } = await openTestLedger(t, engine);
      const store = await createStore();
      await store.sync({ sync_timestamp: at(5), operations: [remove("early"), remove("again")] });
      await store.sync({ sync_timestamp: at(9), operations: [remove("other", "elsewhere")] });
      clock.now += 1000;
      const between = clock.now;
      // The older sync arrives later, and one delete is repeated.
      await store.sync({ sync_timestamp: at(2), operations: [remove("late")] });
      await store.sync({ sync_timestamp: at(5), operations: [remove("again")] });
      await forgetAll(storage, { tombstones: between });

      const left = await storage.read((sql) =>
        sql.all("SELECT id FROM records WHERE store_id = $1 AND version IS NULL ORDER BY id", [
          store.storeId,
        ]),
      );
      assert.deepEqual(
        left.map(({ id }) => id),
        ["again", "late"],
      );
      const upsertAt = async (second: number, id: string) => {
        const { changes } = await store.sync({ sync_timestamp: at(second), operations: [upsert(id)] });
        return changes.created === 1 ? "created" : changes.stale === 1 ? "stale" : changes;
      };
      assert.equal(await upsertAt(4, "early"), "stale");
      assert.equal(await upsertAt(4, "never seen"), "stale");
      assert.equal(await upsertAt(4, "late"), "stale");
      assert.equal(await upsertAt(5, "early"), "created");
      assert.equal(await upsertAt(5, "late"), "created");
    });

    test("a refresh is remembered until its last batch would be stale", async (t) => {
      const { storage, clock, createStore } = await openTestLedger(t, engine);
      const store = await createStore();
      const part = (second: number, id: string, last_batch: boolean) =>
        store.sync({
          sync_mode: "full_refresh",
          sync_timestamp: at(second),
          last_batch,
          operations: [upsert(id)],
        });
      await part(1, "a", false);
      const answer = await part(1, "b", true);
      clock.now += 1000 * 24 * 3600 * 1000;
      await forgetAll(storage, { history: clock.now });
      assert.deepEqual(await part(1, "b", true), answer);
      assert.equal((await readRecords(storage, store.storeId)).length, 2);

      await store.sync({ sync_mode: "full_refresh", sync_timestamp: at(2), operations: [upsert("c")] });
      await forgetAll(storage, { history: clock.now });
      assert.equal(await countRows(storage, "refresh_runs", store.storeId), 0);
      await assert.rejects(part(1, "b", true), { code: "STALE_SYNC" });
    });

    test("of two parts that name one record, the later decides, even if a purged tombstone makes one stale", async (t) => {
      const { storage, clock, createStore } = await openTestLedger(t, engine);
      for (const [first, second, counts] of [
        [upsert("a"), remove("a"), { superseded: 1, absent: 1, stale: 0, created: 0 }],
        [remove("a"), upsert("a"), { superseded: 1, absent: 0, stale: 1, created: 0 }],
        [upsert("a"), upsert("a", { again: 1 }), { superseded: 1, absent: 0, stale: 1, created: 0 }],
      ] as const) {
        const store = await createStore();
        await store.sync({ sync_timestamp: at(2), operations: [remove("a")] });
        clock.now += 1;
        await forgetAll(storage, { tombstones: clock.now });
        const run = { sync_mode: "full_refresh" as const, sync_timestamp: at(1), refresh_id: "parts" };
        await store.sync({ ...run, last_batch: false, operations: [first] });
        const { changes } = await store.sync({ ...run, operations: [second] });
        const { superseded, absent, stale, created } = changes;
        assert.deepEqual({ superseded, absent, stale, created }, counts);
      }
    });

    test("purging takes steps until the last old tombstone is gone", async (t) => {
      const { storage, clock, createStore } = await openTestLedger(t, engine);
      const store = await createStore();
      const ids = numbered(5000);
      await store.sync({ operations: ids.map((id, index) => (index % 100 ? remove(id) : upsert(id))) });
      let steps = 1;
      const before = { tombstones: clock.now + 1, openRuns: 0, answers: 0, history: 0 };
      while ((await storage.forget(before)).more) steps++;
      assert.ok(steps > 1, `${steps} steps`);
      assert.equal(await countRows(storage, "records", store.storeId), 50);
      assert.equal((await readRecords(storage, store.storeId)).length, 50);
    });

    test("removing a deleted store leaves none of its rows and keeps those of others", async (t) => {
      const { storage, commands, clock, createStore } = await openTestLedger(t, engine);
      const [gone, stays] = [await createStore(), await createStore()];
      for (const store of [gone, stays]) {
        await store.sync({ sync_timestamp: at(0), operations: numbered(2500).map((id) => upsert(id)) });
        await store.sync({ sync_timestamp: at(1), operations: [remove("id-0"), remove("x", "other")] });
        await store.sync({
          sync_mode: "full_refresh",
          sync_timestamp: at(2),
          operations: [upsert("id-1", { n: 1 })],
        });
      }
      const before = await readRecords(storage, stays.storeId);
      await commands.deleteVectorStore(gone.organizationId, gone.storeId, clock.now);
      assert.equal((await sweepAll(storage, clock.now)) > 3, true);

      const tables = await engine.storeTables(storage);
      assert.ok(tables.includes("records") && tables.length >= 5, tables.join());
      for (const table of tables) {
        assert.equal(await countRows(storage, table, gone.storeId), 0, `${table} of the deleted store`);
      }
      assert.deepEqual(await readRecords(storage, stays.storeId, { swept: true }), before);
      assert.equal(await commands.countRecords(), 1);
    });
  });
}
