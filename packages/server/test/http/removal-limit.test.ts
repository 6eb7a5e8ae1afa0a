import assert from "node:assert/strict";
import { describe, test } from "node:test";
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

/** Asserts that a request is rejected and changes nothing. @returns the error's details */
async function assertRejected(refresher: Refresher, fields: Record<string, unknown>, code: string) {
  const before = await refresher.rows();
  const details = assertError(await refresher.sync(fields), code);
  assert.deepEqual(await refresher.rows(), before);
  return details;
}

const lost = (namespace: string, records: number, removed: number, cleared: number) => ({
  namespace,
  records,
  removed,
  cleared,
});

const refresh = { sync_mode: "full_refresh", sync_timestamp: at(31) };

describe("removal_limit", () => {
  test("rejects a full refresh that is empty by mistake", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: [...upserts(0, 50), ...upserts(0, 50, {}, "other")] });
    const empty = { ...refresh, operations: [], namespaces: ["tasks", "other", "new"] };
    for (const removal_limit of [0, 49, "0%", "99.999999%"]) {
      const details = await assertRejected(refresher, { ...empty, removal_limit }, "REMOVAL_LIMIT_EXCEEDED");
      const namespaces = [lost("other", 50, 0, 50), lost("tasks", 50, 0, 50)];
      assert.deepEqual(details, { removal_limit, namespaces });
    }
    assert.equal((await refresher.sync({ ...empty, removal_limit: 50 })).body.changes.cleared, 100);
  });

  test("allows exactly the limit in a full refresh", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 10) });
    // Only deletes of existing records and cleared records count.
    const operations = [...upserts(0, 6, { v: 1 }), ...upserts(10, 30), remove("r6"), remove("r100")];
    const exceeding = { ...refresh, operations, removal_limit: 3 };
    const details = await assertRejected(refresher, exceeding, "REMOVAL_LIMIT_EXCEEDED");
    assert.deepEqual(details, { removal_limit: 3, namespaces: [lost("tasks", 10, 1, 3)] });
    await assertRejected(refresher, { ...exceeding, removal_limit: "39.9%" }, "REMOVAL_LIMIT_EXCEEDED");
    const applied = await refresher.sync({ ...exceeding, removal_limit: "40%" });
    assert.deepEqual(
      applied.body.changes,
      changes({ created: 20, updated: 6, removed: 1, absent: 1, cleared: 3 }),
    );
  });

  test("allows exactly the limit in an incremental sync", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 10) });
    const deletes = [remove("r0"), remove("r1"), remove("r2"), remove("r2"), remove("r100")];
    for (const removal_limit of [0, 2, "29%"]) {
      const fields = { operations: [...deletes, ...upserts(10, 20)], removal_limit };
      const details = await assertRejected(refresher, fields, "REMOVAL_LIMIT_EXCEEDED");
      assert.deepEqual(details, { removal_limit, namespaces: [lost("tasks", 10, 3, 0)] });
    }
    const applied = await refresher.sync({ operations: deletes, removal_limit: "30.0%" });
    assert.deepEqual(applied.body.changes, changes({ removed: 3, absent: 1, superseded: 1 }));
  });

  test("applies to each namespace separately", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: [...upserts(0, 100), ...upserts(0, 4, {}, "small")] });
    const operations = [...upserts(20, 100), ...upserts(1, 4, {}, "small")];
    const details = await assertRejected(
      refresher,
      { ...refresh, operations, removal_limit: "20%" },
      "REMOVAL_LIMIT_EXCEEDED",
    );
    assert.deepEqual(details.namespaces, [lost("small", 4, 0, 1)]);
    const byNumber = await assertRejected(
      refresher,
      { ...refresh, operations, removal_limit: 19 },
      "REMOVAL_LIMIT_EXCEEDED",
    );
    assert.deepEqual(byNumber.namespaces, [lost("tasks", 100, 0, 20)]);
    assert.equal((await refresher.sync({ ...refresh, operations, removal_limit: "25%" })).status, 200);
  });

  test("compares percentages exactly", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 625) });
    const deletes = upserts(0, 57).map(({ id }) => remove(id));
    // 57 of 625 is exactly 9.12 %, but 9.12 * 625 is less than 5700 in floating point.
    const applied = await refresher.sync({ operations: deletes, removal_limit: "9.12%", dry_run: true });
    assert.equal(applied.status, 200, JSON.stringify(applied.body));
    const more = { operations: [...deletes, remove("r57")], removal_limit: "9.12%" };
    await assertRejected(refresher, more, "REMOVAL_LIMIT_EXCEEDED");
  });

  test("does not count records that a newer sync decided or a failed operation protects", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 4) });
    await refresher.sync({ sync_timestamp: at(32), operations: upserts(0, 2) });
    const operations = [remove("r0"), invalid("r2")];
    const fields = { ...refresh, operations, on_error: "continue" };
    const details = await assertRejected(
      refresher,
      { ...fields, removal_limit: 0 },
      "REMOVAL_LIMIT_EXCEEDED",
    );
    assert.deepEqual(details.namespaces, [lost("tasks", 4, 0, 1)]);
    const applied = await refresher.sync({ ...fields, removal_limit: 1 });
    assert.deepEqual(applied.body.changes, changes({ stale: 1, cleared: 1 }));
  });

  test("leaves a staged run open when it rejects the last batch", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 10) });
    await refresher.stage([...upserts(0, 5), remove("r5")]);
    const before = (await refresher.get("/refreshes")).body.data;
    const last = { ...refresh, operations: upserts(20, 22) };
    for (const fields of [
      { ...last, removal_limit: 4 },
      { ...last, removal_limit: "49%", dry_run: true },
    ]) {
      const details = await assertRejected(refresher, fields, "REMOVAL_LIMIT_EXCEEDED");
      assert.deepEqual(details.namespaces, [lost("tasks", 10, 1, 4)]);
    }
    assert.deepEqual((await refresher.get("/refreshes")).body.data, before);
    // The missing part arrives, and then the same last batch.
    await refresher.stage(upserts(6, 10));
    const applied = await refresher.sync({ ...last, removal_limit: 1, expected_operations: 12 });
    assert.deepEqual(applied.body.changes, changes({ created: 2, unchanged: 9, removed: 1 }));
    assert.deepEqual(applied.body.refresh, { refresh_id: null, operations: 12, batches: 3 });
  });

  test("accepts only a number or a percentage", async (t) => {
    const { sync } = await startRefresher(t);
    const operations = upserts(0, 1);
    for (const removal_limit of [
      -1,
      1.5,
      "20",
      "101%",
      "-1%",
      "20 %",
      "1e1%",
      "",
      "020%",
      null,
      true,
      ["20%"],
    ]) {
      const { errors } = assertError(await sync({ operations, removal_limit }), "VALIDATION_ERROR");
      assert.equal(errors[0].field, "removal_limit", JSON.stringify(removal_limit));
    }
    for (const removal_limit of [0, 1e9, "0%", "100%", "0.5%", "100.0%", "33.333333%"]) {
      assert.equal((await sync({ operations, removal_limit })).status, 200, String(removal_limit));
    }
    assertFieldError(
      await sync({ ...refresh, operations, last_batch: false, removal_limit: 1 }),
      "removal_limit",
      "NOT_ALLOWED",
    );
  });
});

describe("expected_operations", () => {
  test("rejects the last batch if a part is missing, which can still be sent", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 12) });
    await refresher.stage(upserts(0, 4));
    const last = { ...refresh, operations: upserts(8, 12), expected_operations: 12 };
    for (const fields of [last, { ...last, dry_run: true }]) {
      assert.deepEqual(await assertRejected(refresher, fields, "INCOMPLETE_REFRESH"), {
        expected_operations: 12,
        received_operations: 8,
        received_batches: 2,
      });
    }
    const [run] = (await refresher.get("/refreshes")).body.data;
    assert.deepEqual([run.operations, run.batches], [4, 1]);
    await refresher.stage(upserts(4, 8));
    const applied = await refresher.sync(last);
    assert.deepEqual(applied.body.changes, changes({ unchanged: 12 }));
  });

  test("rejects a last batch without its parts, and a run with too many operations", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 12) });
    const last = { ...refresh, operations: upserts(8, 12), expected_operations: 12 };
    assert.deepEqual(await assertRejected(refresher, last, "INCOMPLETE_REFRESH"), {
      expected_operations: 12,
      received_operations: 4,
      received_batches: 1,
    });
    await refresher.stage(upserts(0, 9));
    const { received_operations } = await assertRejected(refresher, last, "INCOMPLETE_REFRESH");
    assert.equal(received_operations, 13);
  });

  test("counts failed and superseded operations", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.stage([...upserts(0, 2), ...upserts(0, 2), invalid("r9")], { on_error: "continue" });
    const last = { ...refresh, operations: upserts(2, 3), expected_operations: 6 };
    assert.equal((await refresher.sync(last)).status, 200);
    const single = { operations: [...upserts(0, 2), ...upserts(0, 2)], expected_operations: 4 };
    assert.equal((await refresher.sync({ ...refresh, refresh_id: "one", ...single })).status, 200);
  });
});
