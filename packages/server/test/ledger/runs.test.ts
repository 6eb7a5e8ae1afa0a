import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { abortRefresh } from "../../src/ledger/abort-refresh.ts";
import { engines, type TestEngine } from "../engines.ts";
import { readLedger, runMaintenance } from "../http/staged-refresh-client.ts";
import { readRecords } from "../model/ledger-rows.ts";
import { openTestLedger, type SyncFields } from "../test-ledger.ts";

const DAY_MS = 24 * 3_600_000;
const at = (minute: number) => `2025-11-11T10:${String(minute).padStart(2, "0")}:00Z`;
const upserts = (from: number, to: number, v: number) =>
  Array.from({ length: to - from }, (_, i) => ({
    action: "upsert",
    id: `r${from + i}`,
    namespace: "tasks",
    data: { v },
  }));
const remove = (id: string) => ({ action: "delete", id, namespace: "tasks" });
const invalid = (id: string) => ({ ...remove(id), action: "merge" });

async function openStore(t: TestContext, engine: TestEngine) {
  const ledger = await openTestLedger(t, engine, { quick: true });
  const store = await ledger.createStore();
  const refresh = (minute: number, operations: object[], fields: SyncFields = {}) =>
    store.sync({ sync_mode: "full_refresh", sync_timestamp: at(minute), operations, ...fields });
  const stage = (minute: number, operations: object[], fields: SyncFields = {}) =>
    refresh(minute, operations, { last_batch: false, on_error: "continue", ...fields });
  /** The namespace's records, as `id v`, after all maintenance, which must leave no dead rows. */
  const swept = async () => {
    await runMaintenance(ledger.commands);
    const records = await readRecords(ledger.storage, store.storeId, { swept: true });
    return records.map(({ id, content }) => `${id} ${(content as { data: { v: number } }).data.v}`).sort();
  };
  const rows = () => readLedger(ledger.storage, store.storeId);
  return { ...ledger, ...store, refresh, stage, swept, rows };
}

for (const engine of engines) {
  describe(`${engine.name}: the runs of a store`, () => {
    test("leave nothing behind, however they end", async (t) => {
      const { sync, refresh, stage, swept, rows, clock, commands, ...store } = await openStore(t, engine);
      await sync({ operations: upserts(0, 10, 0) });
      const mixed = [
        ...upserts(0, 3, 0),
        ...upserts(3, 6, 1),
        ...upserts(20, 23, 1),
        remove("r6"),
        remove("x"),
        invalid("r7"),
      ];
      // One is applied, after a later part replaced rows of an earlier one.
      await stage(31, mixed);
      await stage(31, [...upserts(3, 5, 2), remove("r20"), ...upserts(6, 7, 2)]);
      await sync({ sync_timestamp: at(32), operations: [...upserts(0, 1, 3), remove("r1")] });
      await refresh(31, upserts(30, 31, 1));
      // One is ended by a newer run, one is aborted, and one expires.
      await stage(33, mixed);
      await refresh(34, upserts(0, 5, 4));
      await stage(35, mixed);
      const runs = await commands.listRefreshes(store.organizationId, store.storeId, {}, null);
      assert.equal(runs.data.length, 1);
      await commands.abortRefresh(store.organizationId, store.storeId, runs.data[0]!.id, null);
      await stage(36, mixed);
      await sync(
        { sync_timestamp: at(37), operations: [...upserts(20, 21, 5), remove("r3"), remove("r99")] },
        "key",
      );
      clock.now += DAY_MS + 1;

      const expected = ["r0 4", "r1 4", "r2 4", "r20 5", "r4 4"];
      assert.deepEqual(await swept(), expected);
      const after = await rows();
      const open = [
        "refresh_run_namespaces",
        "refresh_run_parts",
        "refresh_run_exceptions",
        "idempotency_keys",
      ];
      for (const table of open) assert.deepEqual(after[table], [], table);
      const states = after.refresh_runs!.map((row) => JSON.parse(row).state).sort();
      assert.deepEqual(states, ["applied", "ended", "expired", "expired"]);
      // Runs whose last batch would be stale now are forgotten with the history; then only records are left.
      clock.now += 90 * DAY_MS;
      assert.deepEqual(await swept(), expected);
      const newer = (await rows()).refresh_runs!.map((row) => JSON.parse(row).state);
      assert.deepEqual(newer, ["expired", "expired"]);
      await refresh(41, upserts(0, 5, 6));
      clock.now += 91 * DAY_MS;
      assert.deepEqual(await swept(), ["r0 6", "r1 6", "r2 6", "r3 6", "r4 6"]);
      const { records, contents, refresh_runs, syncs } = await rows();
      assert.deepEqual([records!.length, contents!.length, refresh_runs, syncs], [5, 5, [], []]);
    });

    test("keep their staged rows and shared contents through every sweep", async (t) => {
      const { sync, refresh, stage, swept, commands, storage, storeId } = await openStore(t, engine);
      const sweep = () => runMaintenance(commands);
      await sync({ operations: upserts(0, 6, 0) });
      await sweep();
      // Two runs share the contents of the current rows, and no others.
      await stage(31, [...upserts(0, 6, 0), ...upserts(10, 12, 1)]);
      await sweep();
      await stage(32, [...upserts(0, 6, 0), ...upserts(10, 12, 1)]);
      await sweep();
      // Older syncs replace these contents in the current rows, or write the same contents as the runs.
      await sync({
        sync_timestamp: at(30),
        operations: [remove("r0"), ...upserts(1, 2, 9), ...upserts(10, 11, 1)],
      });
      await sweep();
      await sync({ sync_timestamp: at(30), operations: [...upserts(0, 1, 0), remove("r10")] });
      await sweep();
      assert.deepEqual((await readRecords(storage, storeId)).map(({ id }) => id).sort(), [
        "r0",
        "r1",
        "r2",
        "r3",
        "r4",
        "r5",
      ]);
      const first = await refresh(31, []);
      assert.deepEqual([first.changes.unchanged, first.changes.updated, first.changes.created], [5, 1, 2]);
      await sweep();
      await sync({ sync_timestamp: at(33), operations: [remove("r2")] });
      await sweep();
      const second = await refresh(32, []);
      assert.deepEqual([second.changes.unchanged, second.changes.stale], [7, 1]);
      const left = ["r0 0", "r1 0", "r10 1", "r11 1", "r3 0", "r4 0", "r5 0"];
      assert.deepEqual(await swept(), left);
    });

    test("are removed with their deleted store", async (t) => {
      const { sync, stage, refresh, storage, commands, clock, organizationId, storeId } = await openStore(
        t,
        engine,
      );
      await sync({ operations: upserts(0, 5, 0) }, "key");
      await stage(31, [...upserts(0, 3, 1), invalid("r4")]);
      await sync({ sync_timestamp: at(32), operations: upserts(0, 1, 2) });
      await stage(31, upserts(3, 4, 1), { refresh_id: "applied" });
      await refresh(31, [], { refresh_id: "applied" });
      await commands.deleteVectorStore(organizationId, storeId, clock.now);
      const aborted = abortRefresh(storage, storeId, "run_unknown", null);
      await assert.rejects(aborted, { code: "VECTOR_STORE_NOT_FOUND" });
      await runMaintenance(commands);
      for (const table of await engine.storeTables(storage)) {
        const left = await storage.read((sql) =>
          sql.all(`SELECT 1 FROM ${table} WHERE store_id = $1`, [storeId]),
        );
        assert.deepEqual(left, [], table);
      }
    });
  });
}
