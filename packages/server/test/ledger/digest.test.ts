import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { digestOf } from "@tidemark/client";
import { engines } from "../engines.ts";
import { openTestLedger, sweepAll, type TestStore } from "../test-ledger.ts";

const ZERO = "0".repeat(64);
const at = (minute: number) => `2025-11-11T10:${String(minute).padStart(2, "0")}:00Z`;

/** The source's records in the end, whichever syncs led to them. */
const SOURCE = [
  { id: "a", data: { n: 1, list: [1.5, "ü", null], nested: { z: true, a: {} } } },
  { id: "b", data: {}, source_system: "airbyte", created_at: "2025-01-01T00:00:00Z" },
  { id: "ü🦊", data: { n: 1e21 }, file: { file_url: "u", file_relative_path: "p" } },
  { id: "d", data: { n: 4 }, updated_at: "2025-01-02T03:04:05" },
];
const upsert = (record: object, namespace = "tasks") => ({ action: "upsert", namespace, ...record });
const remove = (id: string) => ({ action: "delete", id, namespace: "tasks" });
const all = SOURCE.map((record) => upsert(record));
const [a, b, c, d] = all as [object, object, object, object];
const refresh = { sync_mode: "full_refresh" as const, sync_timestamp: at(31) };

/** Sequences of syncs that end with SOURCE. */
const WAYS: Record<string, (sync: TestStore["sync"]) => Promise<unknown>> = {
  "in one batch": (sync) => sync({ operations: all }),
  "in reverse order": (sync) => sync({ operations: all.toReversed() }),
  "in other words": (sync) =>
    sync({
      operations: `[
        {"namespace":"tasks","data":{"nested":{"a":{},"z":true},"list":[15e-1,"\\u00fc",null],"n":1.0},"id":"a","action":"upsert"},
        {"created_at":"2025-01-01T00:00:00Z","source_system":"airbyte","id":"b","namespace":"tasks","action":"upsert"},
        ${JSON.stringify(c)}, ${JSON.stringify(d)}]`,
    }),
  "one by one, some twice": async (sync) => {
    for (const operation of [d, a, c, a, b]) await sync({ operations: [operation] });
  },
  "by detours": async (sync) => {
    await sync({ operations: [upsert({ id: "a", data: { n: 0 } }), b, upsert({ id: "x" }), d] });
    await sync({ operations: [remove("b"), remove("x"), remove("never"), upsert({ id: "d" }), d, c] });
    await sync({ operations: [a, b] });
    await sync({ sync_timestamp: at(29), operations: [remove("a"), upsert({ id: "b", data: { n: 9 } })] });
  },
  "by a refresh": async (sync) => {
    await sync({ operations: [a, upsert({ id: "b" }), upsert({ id: "x" })] });
    await sync({ ...refresh, operations: [...all, remove("y")] });
  },
  "by two refreshes": async (sync) => {
    await sync({ ...refresh, operations: [a, b, upsert({ id: "d" }), upsert({ id: "x" })] });
    await sync({ ...refresh, sync_timestamp: at(32), operations: all });
  },
  "by a refresh around what is newer": async (sync) => {
    await sync({ sync_timestamp: at(40), operations: [b, c, remove("x")] });
    await sync({ ...refresh, operations: [a, d, upsert({ id: "b" }), upsert({ id: "x" })] });
  },
  "by a staged refresh": async (sync) => {
    await sync({ operations: [a, upsert({ id: "b" }), upsert({ id: "x" })] });
    await sync({ ...refresh, last_batch: false, operations: [a, upsert({ id: "c" }), d] });
    await sync({ ...refresh, last_batch: false, operations: [upsert({ id: "d" }), remove("c")] });
    await sync({ sync_timestamp: at(29), operations: [upsert({ id: "d", data: {} }), remove("a")] });
    await sync({ sync_timestamp: at(40), operations: [b, remove("x")] });
    await sync({ ...refresh, operations: [c, d, upsert({ id: "b" })] });
  },
  "by a staged refresh that fails on what is there": async (sync) => {
    await sync({ operations: [a, b, upsert({ id: "x" })] });
    const failing = [
      { ...a, created_at: "never" },
      { ...b, created_at: "never" },
    ];
    await sync({ ...refresh, last_batch: false, on_error: "continue", operations: [failing[0]!, c] });
    await sync({ ...refresh, on_error: "continue", operations: [failing[1]!, d] });
  },
  "beside what was never applied": async (sync) => {
    await sync({ operations: all });
    await sync({ ...refresh, operations: [], namespaces: ["tasks"], dry_run: true });
    await sync({ ...refresh, last_batch: false, operations: [remove("a"), upsert({ id: "y" })] });
    await assert.rejects(sync({ operations: [remove("a")], removal_limit: 0 }));
  },
};

for (const engine of engines) {
  describe(`${engine.name}: the digest of a namespace`, () => {
    test("does not depend on which syncs wrote its records", async (t) => {
      const { storage, commands, clock, createStore } = await openTestLedger(t, engine, { quick: true });
      const digest = await digestOf(SOURCE);
      for (const [way, go] of Object.entries(WAYS)) {
        const store = await createStore();
        await go(store.sync);
        // Nothing changes, but the answer still has the digest.
        const { digests, changes } = await store.sync({ operations: [remove("never")] });
        assert.deepEqual([digests, changes.removed], [{ tasks: digest }, 0], way);
        const { data } = await commands.listNamespaces(store.organizationId, store.storeId, {});
        const [{ records, digest: listed }] = data as [(typeof data)[0]];
        assert.deepEqual([records, listed], [SOURCE.length, digest], way);
        for (const moment of ["before sweeping", "after it"]) {
          const [verified] = await commands.verifyStore(store.storeId);
          assert.deepEqual(
            verified,
            {
              namespace: "tasks",
              records: SOURCE.length,
              digest,
              counted_records: SOURCE.length,
              counted_digest: digest,
              in_sync: true,
            },
            `${way}, ${moment}`,
          );
          await sweepAll(storage, clock.now);
        }
      }
    });

    test("is zero when the last record is gone", async (t) => {
      const { createStore } = await openTestLedger(t, engine, { quick: true });
      const { sync } = await createStore();
      await sync({ operations: all });
      const removed = await sync({ operations: SOURCE.map(({ id }) => remove(id)) });
      assert.deepEqual(removed.digests, { tasks: ZERO });
      await sync({ ...refresh, operations: all });
      const cleared = await sync({ ...refresh, operations: [], namespaces: ["tasks", "new"] });
      assert.deepEqual(cleared.digests, { tasks: ZERO, new: ZERO });
    });

    test("is in the answer for the affected namespaces only", async (t) => {
      const { createStore } = await openTestLedger(t, engine, { quick: true });
      const { sync } = await createStore();
      const both = await sync({ operations: [upsert({ id: "x" }), upsert({ id: "x" }, "other")] });
      assert.equal(both.digests!.tasks, both.digests!.other);
      assert.deepEqual(Object.keys((await sync({ operations: [a] })).digests!), ["tasks"]);
      const staged = await sync({ ...refresh, last_batch: false, operations: [a] });
      assert.equal(staged.digests, undefined);
      assert.equal((await sync({ operations: [] })).digests, undefined);
      assert.deepEqual(
        Object.keys((await sync({ ...refresh, operations: [], namespaces: ["z"] })).digests!),
        ["tasks", "z"],
      );
    });

    test("is recomputed in steps by a check of the store, however many records there are", async (t) => {
      const { commands, createStore } = await openTestLedger(t, engine, { quick: true });
      const store = await createStore();
      const records = Array.from({ length: 2500 }, (_, n) => ({ id: `r${n}`, data: { n } }));
      const { digests } = await store.sync({ operations: records.map((record) => upsert(record)) });
      const [verified] = await commands.verifyStore(store.storeId);
      const digest = await digestOf(records);
      assert.deepEqual([verified!.counted_records, verified!.counted_digest], [2500, digest]);
      assert.deepEqual(digests, { tasks: digest });
    });
  });
}
