import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { readRecords } from "../model/ledger-rows.ts";
import { assertError, assertFieldError } from "./error-answer.ts";
import {
  at,
  changes,
  invalid,
  type Refresher,
  remove,
  startRefresher,
  upserts,
} from "./staged-refresh-client.ts";

const go = { on_error: "continue" };

const assertConsistent = async ({ runMaintenance, server, tenant }: Refresher) => {
  await runMaintenance();
  await readRecords(server.storage, tenant.storeId, { swept: true });
};

describe("on_error: continue in an incremental sync", () => {
  test("reports invalid operations and applies the rest", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(5, 6) });
    const answer = await refresher.sync({
      ...go,
      operations: [
        ...upserts(0, 1),
        invalid("r1"),
        { action: "upsert", id: "", namespace: "tasks" },
        { action: "merge", id: "r5", namespace: "other" },
        ...upserts(2, 3, {}, "third"),
        remove("r5"),
      ],
    });
    assert.equal(answer.status, 200);
    const { status, processed, results, by_namespace, errors, total_errors } = answer.body;
    assert.deepEqual([status, processed, total_errors], ["partial", 6, 3]);
    assert.deepEqual(results, { upserted: 2, deleted: 1, failed: 3 });
    assert.deepEqual(by_namespace, {
      other: { upserted: 0, deleted: 0, failed: 1 },
      tasks: { upserted: 1, deleted: 1, failed: 2 },
      third: { upserted: 1, deleted: 0, failed: 0 },
    });
    assert.deepEqual(answer.body.changes, changes({ created: 2, removed: 1 }));
    const [time, short, action] = errors;
    assert.deepEqual(
      [time.index, time.id, time.namespace, time.code],
      [1, "r1", "tasks", "INVALID_DATE_TIME"],
    );
    assert.match(time.message, /^operations\[1\]\.created_at: /);
    assert.deepEqual([short.index, short.id, short.namespace, short.code], [2, null, "tasks", "TOO_SHORT"]);
    assert.deepEqual([action.index, action.id, action.namespace], [3, "r5", "other"]);
    for (const error of errors) {
      assert.deepEqual(Object.keys(error), ["index", "id", "namespace", "code", "message"]);
    }
    assert.deepEqual(Object.keys(await refresher.contents()), ["r0"]);
    await assertConsistent(refresher);
  });

  test("counts an operation with an unreadable namespace only in the results", async (t) => {
    const refresher = await startRefresher(t);
    const lone = '{"action":"upsert","id":"a","namespace":"\\ud800"}';
    const unreadable = [
      '{"action":"upsert","id":"a"}',
      '{"action":"upsert","id":"a","namespace":""}',
      '{"action":"upsert","id":"a","namespace":7}',
      `{"action":"upsert","id":"a","namespace":"${"n".repeat(256)}"}`,
      lone,
      "null",
      "5",
      '"text"',
      "[]",
      "{}",
    ];
    const answer = await refresher.syncRaw(
      go,
      `[${unreadable.join()},{"action":"upsert","id":"r0","namespace":"tasks"}]`,
    );
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    const { results, by_namespace, processed, errors, digests } = answer.body;
    assert.deepEqual([processed, results], [11, { upserted: 1, deleted: 0, failed: 10 }]);
    assert.deepEqual(by_namespace, { tasks: { upserted: 1, deleted: 0, failed: 0 } });
    assert.deepEqual(Object.keys(digests), ["tasks"]);
    for (const { namespace } of errors) assert.equal(namespace, null);
    assert.deepEqual(
      errors.map(({ id }: { id: string | null }) => id),
      ["a", "a", "a", "a", "a", null, null, null, null, null],
    );
  });

  test("lists 100 errors and counts all of them", async (t) => {
    const refresher = await startRefresher(t);
    const operations = Array.from({ length: 250 }, (_, index) => invalid(`r${index}`));
    const { body } = await refresher.sync({ ...go, operations: [...operations, ...upserts(0, 1)] });
    assert.deepEqual([body.errors.length, body.total_errors, body.results.failed], [100, 250, 250]);
    assert.deepEqual(
      body.errors.map(({ index }: { index: number }) => index),
      Array.from({ length: 100 }, (_, index) => index),
    );
  });

  test("reports unreadable ids and namespaces as null, even among many other errors", async (t) => {
    const { sync } = await startRefresher(t);
    const unknown = Object.fromEntries(Array.from({ length: 200 }, (_, index) => [`field-${index}`, 1]));
    const long = "n".repeat(256);
    const operations = [
      { ...unknown, action: "upsert", id: long, namespace: "tasks" },
      { ...unknown, action: "upsert", id: "r0", namespace: long },
      { ...unknown, action: "upsert", id: "r0\0", namespace: "tasks\0" },
    ];
    const { body } = await sync({ ...go, operations });
    assert.deepEqual(body.by_namespace, { tasks: { upserted: 0, deleted: 0, failed: 1 } });
    const keys = body.errors.map(({ id, namespace }: Record<string, unknown>) => [id, namespace]);
    assert.deepEqual(keys, [
      [null, "tasks"],
      ["r0", null],
      [null, null],
    ]);
  });

  test("applies nothing if there are too many errors to check every operation", async (t) => {
    const refresher = await startRefresher(t);
    const body = await refresher.sync({ operations: upserts(0, 1) });
    assert.equal(body.status, 200);
    const before = await refresher.rows();
    // JSON.stringify cannot write this number.
    const numbers = `[${"9007199254740993,".repeat(3)}0]`;
    const operations = Array.from(
      { length: 5000 },
      (_, n) => `{"action":"upsert","id":"r${n}","namespace":"tasks","data":{"n":${numbers}}}`,
    );
    const answer = await refresher.syncRaw(go, `[${operations}]`);
    assertFieldError(answer, "operations[0].data.n[0]", "INEXACT_NUMBER");
    assert.deepEqual(await refresher.rows(), before);
  });

  test("answers partial and changes nothing if every operation failed", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 2) });
    const all = await refresher.sync({ ...go, operations: [invalid("r0"), invalid("r5"), 7] });
    assert.deepEqual([all.status, all.body.status], [200, "partial"]);
    assert.deepEqual(all.body.results, { upserted: 0, deleted: 0, failed: 3 });
    assert.deepEqual(all.body.by_namespace, { tasks: { upserted: 0, deleted: 0, failed: 2 } });
    assert.deepEqual(all.body.changes, changes({}));
    assert.deepEqual(await refresher.contents(), { r0: {}, r1: {} });
    const none = await refresher.sync({ ...go, operations: [7] });
    assert.deepEqual([none.body.status, none.body.by_namespace], ["partial", {}]);
    await assertConsistent(refresher);
  });

  test("answers success without errors if no operation failed", async (t) => {
    const { sync } = await startRefresher(t);
    const { body } = await sync({ ...go, operations: upserts(0, 2) });
    assert.equal(body.status, "success");
    assert.equal("errors" in body || "total_errors" in body, false);
  });

  test("does not accept a request that is invalid itself", async (t) => {
    const refresher = await startRefresher(t);
    const before = await refresher.rows();
    const operations = [...upserts(0, 1), invalid("r1")];
    const wrong: [fields: Record<string, unknown>, field: string][] = [
      [{ sync_timestamp: "yesterday" }, "sync_timestamp"],
      [{ unknown: 1 }, "unknown"],
      [{ namespaces: ["tasks"] }, "namespaces"],
      [{ operations: {} }, "operations"],
      [{ on_error: "ignore" }, "on_error"],
    ];
    for (const [fields, field] of wrong) {
      const { errors } = assertError(
        await refresher.sync({ ...go, operations, ...fields }),
        "VALIDATION_ERROR",
      );
      assert.ok(
        errors.some((error: { field: string }) => error.field === field),
        JSON.stringify(errors),
      );
    }
    assertError(await refresher.sync({ ...go, operations: upserts(0, 5001) }), "BATCH_SIZE_EXCEEDED");
    assertFieldError(
      await refresher.sync({ on_error: "abort", operations }),
      "operations[1].created_at",
      "INVALID_DATE_TIME",
    );
    assert.deepEqual(await refresher.rows(), before);
  });
});

describe("on_error: continue in a full refresh", () => {
  test("protects the record of a failed operation from being cleared", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 6, { v: 0 }) });
    await refresher.sync({ operations: [remove("r5")] });
    const answer = await refresher.refresh({
      ...go,
      // r2 also has a valid delete, which wins; r5 was deleted before; r9 never existed.
      operations: [
        ...upserts(0, 1, { v: 1 }),
        ...["r1", "r2", "r5", "r9"].map((id) => invalid(id)),
        remove("r2"),
      ],
    });
    assert.deepEqual([answer.body.status, answer.body.total_errors], ["partial", 4]);
    assert.deepEqual(answer.body.by_namespace, { tasks: { upserted: 1, deleted: 1, failed: 4 } });
    assert.deepEqual(answer.body.changes, changes({ updated: 1, removed: 1, cleared: 2 }));
    assert.deepEqual(await refresher.contents(), { r0: { v: 1 }, r1: { v: 0 } });
    await assertConsistent(refresher);
    // The refresh decides the protected record, so an older sync can no longer change it.
    const older = await refresher.sync({ operations: upserts(1, 2, { v: 2 }) });
    assert.deepEqual(older.body.changes, changes({ stale: 1 }));
    const cleared = await refresher.refresh({ sync_timestamp: at(32), operations: upserts(0, 1, { v: 1 }) });
    assert.deepEqual(cleared.body.changes, changes({ unchanged: 1, cleared: 1 }));
    await assertConsistent(refresher);
  });

  test("clears nothing if failed operations name every record", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 3, { v: 0 }) });
    const before = await refresher.get("/namespaces");
    const operations = ["r0", "r1", "r2"].map((id) => invalid(id));
    const answer = await refresher.refresh({ ...go, operations, removal_limit: 0 });
    assert.deepEqual(answer.body.changes, changes({}));
    assert.equal(answer.body.digests.tasks, before.body.data[0].digest);
    assert.deepEqual(await refresher.contents(), { r0: { v: 0 }, r1: { v: 0 }, r2: { v: 0 } });
    await assertConsistent(refresher);
  });

  test("protects records of failed operations in earlier parts, in their state at the last batch", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 10, { v: 0 }) });
    const failed = ["r1", "r2", "r3", "r4", "r5", "r20"].map((id) => invalid(id));
    const part = await refresher.stage([...upserts(0, 1, { v: 1 }), ...failed], go);
    assert.deepEqual([part.body.total_errors, part.body.errors[0].id], [6, "r1"]);
    assert.deepEqual(part.body.refresh, { refresh_id: null, operations: 7, batches: 1 });
    // Older and newer syncs change, delete and create records that the run failed on.
    await refresher.sync({
      sync_timestamp: at(30),
      operations: [...upserts(1, 2, { v: 2 }), remove("r2"), ...upserts(20, 21, { v: 2 })],
    });
    await refresher.sync({
      sync_timestamp: at(32),
      operations: [...upserts(3, 4, { v: 3 }), remove("r4"), ...upserts(30, 31, { v: 3 })],
    });
    // A later part has a valid operation for r5; the last batch also fails on r6.
    await refresher.stage(upserts(5, 6, { v: 1 }));
    const last = await refresher.refresh({ ...go, operations: [invalid("r6"), invalid("r3")] });
    assert.deepEqual([last.body.status, last.body.total_errors], ["partial", 2]);
    // No operation names r7, r8 and r9.
    assert.deepEqual(last.body.changes, changes({ updated: 2, cleared: 3 }));
    const expected = { r0: 1, r1: 2, r20: 2, r3: 3, r30: 3, r5: 1, r6: 0 };
    assert.deepEqual(
      await refresher.contents(),
      Object.fromEntries(Object.entries(expected).map(([id, v]) => [id, { v }])),
    );
    await assertConsistent(refresher);
  });

  test("rejects the request and stages nothing if an operation's key is unreadable", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 3) });
    const before = await refresher.rows();
    const unreadable = [{ action: "upsert", namespace: "tasks" }, { action: "upsert", id: "a" }, null, 7];
    for (const operation of unreadable) {
      for (const fields of [{}, { last_batch: false }, { dry_run: true }]) {
        const operations = [...upserts(0, 1), invalid("r1"), operation];
        const answer = await refresher.refresh({ ...go, ...fields, operations });
        assertFieldError(answer, "operations[2]", "UNREADABLE_KEY");
        assert.equal(answer.body.error.details.total_errors, 1);
      }
    }
    assert.deepEqual(await refresher.rows(), before);
  });

  test("rejects a part that brings a run to more than 5000 failed operations", async (t) => {
    const refresher = await startRefresher(t);
    const many = Array.from({ length: 3000 }, (_, index) => invalid(`r${index}`));
    await refresher.stage(many, go);
    const before = await refresher.rows();
    const others = many.map((operation) => ({ ...operation, namespace: "other" }));
    assertFieldError(await refresher.refresh({ ...go, operations: others }), "operations", "TOO_MANY_FAILED");
    assert.deepEqual(await refresher.rows(), before);
    assert.equal((await refresher.refresh({ ...go, operations: others.slice(0, 2000) })).status, 200);
  });
});
