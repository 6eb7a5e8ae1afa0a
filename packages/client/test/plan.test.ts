import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readLedger } from "../../server/test/http/staged-refresh-client.ts";
import type { TidemarkError } from "../src/public.ts";
import { failingAfter, records, startStore, type TestStore } from "./store.ts";

const incremental = { mode: "incremental", namespace: "tasks" } as const;
const refresh = { mode: "full_refresh", namespace: "tasks" } as const;

/** Every row of the store. */
const rows = ({ server, tenant }: TestStore) => readLedger(server.storage, tenant.storeId);

describe("a plan", () => {
  test("of records that fit one request equals the sync, and leaves no trace", async (t) => {
    for (const options of [incremental, refresh, { ...incremental, deleteMissing: true }]) {
      const store = await startStore(t);
      await store.tidemark.syncAll(records(0, 10), incremental);
      const before = await rows(store);
      const next = [...records(4, 8), ...records(8, 12, { edited: true })];
      const plan = await store.tidemark.plan(next, options);
      assert.deepEqual(await rows(store), before);
      assert.deepEqual(plan.samples.created, ["r10", "r11"]);
      assert.deepEqual(plan.samples.updated, ["r8", "r9"]);
      const result = await store.tidemark.syncAll(next, options);
      assert.deepEqual(plan.changes, result.changes);
      assert.equal(plan.operations, result.operations);
      assert.equal(plan.sync_id, null);
    }
  });

  test("of a refresh in parts is exact, changes nothing visible, and aborts its run", async (t) => {
    const { tidemark, contents } = await startStore(t);
    await tidemark.syncAll(records(0, 20), refresh);
    const before = await contents();
    const parts = { ...refresh, batchOperations: 4 };
    const plan = await tidemark.plan(records(5, 23), parts);
    assert.deepEqual(await contents(), before);
    assert.deepEqual((await tidemark.listRefreshes()).data, []);
    assert.deepEqual(plan.samples.cleared, ["r0", "r1", "r2", "r3", "r4"]);
    assert.equal(plan.sync_id, null);
    const { changes } = await tidemark.syncAll(records(5, 23), parts);
    assert.deepEqual(plan.changes, changes);
    assert.deepEqual([changes.created, changes.unchanged, changes.cleared], [3, 15, 5]);
  });

  test("of an incremental sync in batches is their sum", async (t) => {
    const { tidemark, contents } = await startStore(t);
    await tidemark.syncAll(records(0, 150), incremental);
    const next = records(10, 155);
    const plan = await tidemark.plan(next, { ...incremental, batchOperations: 40, deleteMissing: true });
    assert.deepEqual([plan.changes.created, plan.changes.unchanged, plan.changes.removed], [5, 140, 10]);
    assert.deepEqual(plan.samples.created, ["r150", "r151", "r152", "r153", "r154"]);
    assert.equal(plan.samples.unchanged?.length, 20);
    assert.equal(Object.keys(await contents()).length, 150);
  });

  test("reports that the removal limit would reject the sync, and what it would do without the limit", async (t) => {
    const { tidemark } = await startStore(t);
    await tidemark.syncAll(records(0, 120), incremental);
    for (const options of [refresh, { ...refresh, batchOperations: 4 }]) {
      const { changes, refusal } = await tidemark.plan(records(0, 10), options);
      assert.equal(changes.cleared, 110);
      assert.equal(refusal?.details.namespaces[0]?.cleared, 110);
    }
    const complete = { ...incremental, deleteMissing: true };
    const { changes, refusal } = await tidemark.plan(records(0, 10), complete);
    assert.deepEqual([changes.removed, refusal?.details.namespaces[0]?.removed], [110, 110]);
    const small = await tidemark.plan(records(0, 10), { ...refresh, removalLimit: false });
    assert.equal(small.refusal, undefined);
  });

  test("that fails aborts its own run, but not a sync's run in progress", async (t) => {
    const { tidemark } = await startStore(t);
    const run = { sync_timestamp: new Date().toISOString(), refresh_id: "under way" };
    const parts = { ...refresh, batchOperations: 2, run };
    const lost = new Error("the source is gone");
    await assert.rejects(tidemark.syncAll(failingAfter(records(0, 6), lost), parts), lost);
    await assert.rejects(tidemark.plan(failingAfter(records(0, 6), lost), parts), lost);
    const { data } = await tidemark.listRefreshes();
    assert.deepEqual(
      data.map(({ refresh_id }) => refresh_id),
      ["under way"],
    );
  });

  test("is rejected if the sync would be", async (t) => {
    const { tidemark } = await startStore(t);
    const bad = [{ id: "" }];
    await assert.rejects(tidemark.plan(bad, incremental), (error: TidemarkError) =>
      error.is("VALIDATION_ERROR"),
    );
  });
});
