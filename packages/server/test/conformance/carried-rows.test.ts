import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { engines, type TestEngine } from "../engines.ts";
import { readRecords } from "../model/ledger-rows.ts";
import { forgetAll, openTestLedger, type SyncFields, sweepAll } from "../test-ledger.ts";

const DAY_MS = 24 * 3_600_000;
const at = (minute: number) => `2025-11-11T10:${String(minute).padStart(2, "0")}:00Z`;
const upserts = (from: number, to: number, v = 0) =>
  Array.from({ length: to - from }, (_, i) => ({
    action: "upsert",
    id: `r${from + i}`,
    namespace: "tasks",
    data: { v },
  }));
async function openStore(t: TestContext, engine: TestEngine) {
  const ledger = await openTestLedger(t, engine, { quick: true });
  const store = await ledger.createStore();
  const { storage, clock } = ledger;
  const refresh = (minute: number, operations: object[] | string, fields: SyncFields = {}) =>
    store.sync({ sync_mode: "full_refresh", sync_timestamp: at(minute), operations, ...fields });
  const stage = (minute: number, operations: object[], fields: SyncFields = {}) =>
    refresh(minute, operations, { last_batch: false, ...fields });
  /** All rows, visible or not, by their keys. */
  const rows = async () => {
    const all = await storage.read((sql) =>
      sql.all("SELECT id, generation, version FROM records WHERE store_id = $1", [store.storeId]),
    );
    return all.map(({ id, generation, version }) => `${id} ${generation} ${version}`).sort();
  };
  /** The records that readers see, as `id v`. */
  const seen = async (options?: { swept: boolean }) => {
    const records = await readRecords(storage, store.storeId, options);
    return records.map(({ id, content }) => `${id} ${(content as { data: { v: number } }).data.v}`).sort();
  };
  /** The records that readers see after all sweeping, which must leave only current and staged rows. */
  const swept = async (options = { swept: true }) => {
    await sweepAll(storage, clock.now);
    return seen(options);
  };
  const sweptOpen = () => swept({ swept: false });
  const expire = async () => {
    clock.now += 2 * DAY_MS;
    await forgetAll(storage, { openRuns: clock.now });
  };
  return { ...store, refresh, stage, rows, seen, swept, sweptOpen, expire };
}

for (const engine of engines) {
  describe(`${engine.name}: rows that refreshes carry`, () => {
    test("a refresh without changes writes no row, and neither do the next ones", async (t) => {
      const { refresh, stage, rows, swept } = await openStore(t, engine);
      await refresh(0, upserts(0, 60));
      const first = await rows();
      for (let minute = 1; minute <= 5; minute++) {
        await stage(minute, upserts(0, 20));
        await stage(minute, upserts(20, 40));
        const { changes } = await refresh(minute, upserts(40, 60));
        assert.deepEqual([changes.unchanged, changes.cleared], [60, 0]);
        assert.deepEqual(await rows(), first);
      }
      assert.equal((await swept()).length, 60);
      assert.deepEqual(await rows(), first);
    });

    test("rows are carried by their ids, in any order, whatever ids lie between them", async (t) => {
      const { sync, refresh, stage, swept } = await openStore(t, engine);
      const ids = ["\uff5e", "😀", ...Array.from({ length: 40 }, (_, index) => `r${index}`)];
      const fifth = (index: number): number => (index % 5 === 0 ? 1 : 0);
      const upsertSome = (isNamed: (index: number) => boolean, v = fifth) =>
        ids.flatMap((id, index) =>
          isNamed(index) ? [{ action: "upsert", id, namespace: "tasks", data: { v: v(index) } }] : [],
        );
      const all = () => true;
      const few = (index: number) => index < 2 || index % 3 === 0;
      const zero = () => 0;
      const answers = [
        await refresh(0, upsertSome(all, zero)),
        await refresh(1, upsertSome(all).reverse()),
        await sync({ sync_timestamp: at(2), operations: upsertSome(few) }),
        await refresh(3, upsertSome(all)),
        await stage(4, upsertSome(few).slice(0, 2)),
        await refresh(4, upsertSome(few).slice(2)),
      ];
      assert.deepEqual(
        answers.map(({ changes }) => changes.unchanged),
        [0, 33, 15, 42, 0, 15],
      );
      const left = upsertSome(few).map(({ id, data }) => `${id} ${data.v}`);
      assert.deepEqual(await swept(), left.sort());
    });

    test("only the named rows are carried where the order of code points differs from that of UTF-16", async (t) => {
      const { refresh, swept } = await openStore(t, engine);
      const upsertAll = (ids: string[]) =>
        ids.map((id) => ({ action: "upsert", id, namespace: "tasks", data: { v: 0 } }));
      // By UTF-16 units, the last one sorts before "\uff5e", and three lie from "a" to "\uff5e".
      await refresh(0, upsertAll(["a", "b", "\uff5e", "😀"]));
      await refresh(1, upsertAll(["a", "\uff5e", "😀"]));
      assert.deepEqual(await swept(), ["a 0", "\uff5e 0", "😀 0"].sort());
    });

    test("a refresh with other spellings of the same contents, or with failed operations, writes no row either", async (t) => {
      const { refresh, rows, swept } = await openStore(t, engine);
      await refresh(0, upserts(0, 4));
      const first = await rows();
      const otherwise = `[{"namespace":"tasks", "id":"r0", "action":"upsert", "data":{"v":0.0}},
        ${JSON.stringify(upserts(1, 3)).slice(1, -1)},
        {"action":"upsert","id":"r3","namespace":"tasks","created_at":"2024-02-30T00:00:00Z"}]`;
      const { changes } = await refresh(1, otherwise, { on_error: "continue" });
      assert.deepEqual([changes.unchanged, changes.cleared], [3, 0]);
      assert.deepEqual(await rows(), first);
      assert.deepEqual(await swept(), ["r0 0", "r1 0", "r2 0", "r3 0"]);
    });

    test("a record whose operation fails stays, and one between two such records is cleared", async (t) => {
      const { refresh, swept } = await openStore(t, engine);
      await refresh(0, upserts(0, 3));
      const bad = ["r0", "r2"].map((id) => ({
        ...{ action: "upsert", namespace: "tasks", id },
        created_at: "2024-02-30T00:00:00Z",
      }));
      const { changes } = await refresh(1, bad, { on_error: "continue" });
      assert.equal(changes.cleared, 1);
      assert.deepEqual(await swept(), ["r0 0", "r2 0"]);
    });

    test("a refresh after a run that was never finished writes no row either", async (t) => {
      const { refresh, stage, rows, swept, expire } = await openStore(t, engine);
      await refresh(0, upserts(0, 4));
      await refresh(1, upserts(0, 4));
      await stage(2, upserts(0, 4));
      await expire();
      const first = await rows();
      await refresh(3, upserts(0, 4));
      assert.deepEqual(await rows(), first);
      assert.equal((await swept()).length, 4);
    });

    test("a third concurrent refresh copies rows, and all three end with the same records", async (t) => {
      const { refresh, stage, rows, swept, seen } = await openStore(t, engine);
      await refresh(0, upserts(0, 3));
      const runs = ["a", "b", "c", "d"].map((refresh_id) => ({ refresh_id }));
      for (const run of runs) await stage(5, upserts(0, 2), run);
      assert.equal((await rows()).length, 3 + 2 * 2);
      for (const run of runs) {
        await refresh(5, [], { ...run, expected_operations: 2 });
        assert.deepEqual(await seen(), ["r0 0", "r1 0"]);
      }
      assert.deepEqual(await swept(), ["r0 0", "r1 0"]);
      assert.equal((await rows()).length, 2);
    });

    test("a carried row stays unchanged for its run, whatever older syncs do to the record", async (t) => {
      const { sync, refresh, stage, swept, sweptOpen } = await openStore(t, engine);
      const remove = (id: string) => ({ action: "delete", id, namespace: "tasks" });
      await sync({ sync_timestamp: at(0), operations: upserts(0, 4) });
      await stage(5, upserts(0, 4));
      await sync({
        sync_timestamp: at(4),
        operations: [...upserts(0, 1, 4), ...upserts(2, 3), remove("r1")],
      });
      await sync({ sync_timestamp: at(4), operations: [...upserts(0, 1, 5)] });
      assert.deepEqual(await sweptOpen(), ["r0 5", "r2 0", "r3 0"]);
      const { changes } = await refresh(5, []);
      assert.deepEqual([changes.updated, changes.created, changes.unchanged], [1, 1, 2]);
      assert.deepEqual(await swept(), ["r0 0", "r1 0", "r2 0", "r3 0"]);
    });

    test("a run loses a carried row if a newer sync decides the record, or if a later part changes it", async (t) => {
      const { sync, refresh, stage, swept } = await openStore(t, engine);
      await sync({ sync_timestamp: at(0), operations: upserts(0, 4) });
      await stage(5, upserts(0, 4));
      await sync({ sync_timestamp: at(6), operations: [...upserts(0, 1), ...upserts(1, 2, 6)] });
      await sync({ sync_timestamp: at(7), operations: upserts(0, 1) });
      await stage(5, [...upserts(2, 3, 5), { action: "delete", id: "r3", namespace: "tasks" }]);
      const { changes } = await refresh(5, []);
      assert.deepEqual([changes.stale, changes.updated, changes.removed, changes.unchanged], [2, 1, 1, 0]);
      assert.deepEqual(await swept(), ["r0 0", "r1 6", "r2 5"]);
      // The newer sync decided the first two records, not the refresh.
      const older = await sync({ sync_timestamp: at(5), operations: upserts(0, 3, 9) });
      assert.deepEqual([older.changes.stale, older.changes.updated], [2, 1]);
      assert.deepEqual(await swept(), ["r0 0", "r1 6", "r2 9"]);
    });

    test("a row that another refresh cleared stays for the runs that carry it", async (t) => {
      const { sync, refresh, stage, rows, swept, sweptOpen } = await openStore(t, engine);
      await sync({ sync_timestamp: at(0), operations: upserts(0, 3) });
      await stage(5, upserts(0, 3), { refresh_id: "a" });
      await stage(5, upserts(0, 2), { refresh_id: "b" });
      await refresh(4, upserts(9, 10));
      assert.deepEqual(await sweptOpen(), ["r9 0"]);
      assert.equal((await rows()).length, 4);
      // One run drops a record that is cleared already, and the other run still has it.
      await stage(5, upserts(0, 1, 5), { refresh_id: "b" });
      await sync({ sync_timestamp: at(4), operations: upserts(1, 2) });
      const { changes } = await refresh(5, [], { refresh_id: "a" });
      assert.deepEqual([changes.created, changes.unchanged, changes.cleared], [2, 1, 1]);
      assert.deepEqual(await sweptOpen(), ["r0 0", "r1 0", "r2 0"]);
      await refresh(5, [], { refresh_id: "b" });
      assert.deepEqual(await swept(), ["r0 5", "r1 0"]);
    });
  });
}
