import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { RefreshObject } from "@tidemark/protocol/browse";
import { readRecords } from "../model/ledger-rows.ts";
import { createRoleKey } from "../test-server.ts";
import { assertError } from "./error-answer.ts";
import { at, changes, type Refresher, remove, startRefresher, upserts } from "./staged-refresh-client.ts";

const HOUR_MS = 3_600_000;

const runs = async ({ get, admin }: Refresher): Promise<RefreshObject[]> =>
  (await get("/refreshes", admin)).body.data;

const refreshIds = async (refresher: Refresher) =>
  new Set((await runs(refresher)).map(({ refresh_id }) => refresh_id));

/** Runs maintenance, and asserts that no rows of runs are left. */
async function assertSwept(refresher: Refresher): Promise<void> {
  await refresher.runMaintenance();
  await readRecords(refresher.server.storage, refresher.tenant.storeId, { swept: true });
  const rows = (await refresher.rows()) as Record<string, string[]>;
  for (const table of ["refresh_run_namespaces", "refresh_run_parts", "refresh_run_exceptions"]) {
    assert.deepEqual(rows[table], [], table);
  }
}

describe("the last batch of a run that was applied", () => {
  test("gets the same answer byte for byte when it is repeated, and loses no later sync", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.stage([...upserts(0, 3, { v: 1 }), remove("x")]);
    const last = { sync_mode: "full_refresh", sync_timestamp: at(31), operations: upserts(3, 5, { v: 1 }) };
    const first = await refresher.syncText({ ...last, expected_operations: 6, removal_limit: 0 });
    assert.deepEqual([first.status, first.replayed], [200, null]);
    assert.deepEqual(first.body.changes, changes({ created: 5, absent: 1 }));
    // Later syncs must survive the repeated batch.
    await refresher.sync({ sync_timestamp: at(31), operations: [...upserts(0, 1, { v: 2 }), remove("r4")] });
    const before = await refresher.rows();
    for (let repeat = 0; repeat < 2; repeat++) {
      refresher.server.clock.now += HOUR_MS;
      const replay = await refresher.syncText({ ...last, expected_operations: 6, removal_limit: 0 });
      assert.deepEqual([replay.status, replay.text], [200, first.text]);
    }
    assert.deepEqual(await refresher.rows(), before);
    await refresher.runMaintenance();
    const replay = await refresher.syncText({ ...last, expected_operations: 6, removal_limit: 0 });
    assert.equal(replay.text, first.text);
    assert.deepEqual(Object.keys(await refresher.contents()), ["r0", "r1", "r2", "r3"]);
  });

  test("is recognized by its operations, however their JSON is written", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.stage(upserts(0, 3));
    const first = await refresher.refresh({ operations: upserts(3, 4, { a: 1, b: [2] }) });
    const spelled = [{ data: { b: [2.0], a: 1 }, namespace: "tasks", id: "r3", action: "upsert" }];
    assert.deepEqual((await refresher.refresh({ operations: spelled })).body, first.body);
  });

  test("is not recognized with other namespaces, because the run did not refresh them", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 3, {}, "other") });
    await refresher.stage(upserts(0, 3));
    assert.equal((await refresher.refresh({ operations: [], namespaces: ["tasks"] })).status, 200);
    assertError(await refresher.refresh({ operations: [], namespaces: ["other"] }), "STALE_SYNC");
  });

  test("is the only request of the run that is accepted; all others are stale", async (t) => {
    const refresher = await startRefresher(t);
    const fields = { refresh_id: "a" };
    await refresher.stage(upserts(0, 3), fields);
    await refresher.refresh({ ...fields, operations: upserts(3, 5) });
    const before = await refresher.rows();
    const late: Record<string, unknown>[] = [
      { last_batch: false, operations: upserts(0, 3) },
      { last_batch: false, operations: upserts(3, 5) },
      { last_batch: false, operations: upserts(5, 6) },
      { operations: upserts(0, 3) },
      { operations: upserts(5, 6) },
      { operations: [], namespaces: ["tasks"] },
      { operations: upserts(3, 5), dry_run: true },
    ];
    for (const request of late) {
      const answer = await refresher.refresh({ ...fields, ...request });
      const { sync_timestamp, refresh_id } = assertError(answer, "STALE_SYNC");
      assert.deepEqual([sync_timestamp, refresh_id], [at(31), "a"]);
      assert.match(answer.body.error.message, /already applied/);
    }
    assert.deepEqual(await refresher.rows(), before);
    // Another refresh_id makes another run, even with the same timestamp.
    await refresher.stage(upserts(0, 3));
    await refresher.stage(upserts(0, 3), { refresh_id: "b" });
  });
});

describe("concurrent runs", () => {
  test("of one connector and timestamp are independent if their refresh_id differs", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 4, { v: 0 }) });
    const [a, b] = [{ refresh_id: "a" }, { refresh_id: "b" }];
    const first = upserts(0, 2, { v: 1 });
    assert.equal((await refresher.stage(first, a)).body.refresh.operations, 2);
    assert.equal((await refresher.stage(first, b)).body.refresh.operations, 2);
    assert.equal((await refresher.stage(upserts(2, 3, { v: 2 }), b)).body.refresh.operations, 3);
    assert.equal((await refresher.stage(first, {})).body.refresh.operations, 2);
    assert.deepEqual(await refreshIds(refresher), new Set(["a", "b", null]));
    const appliedA = await refresher.refresh({ ...a, operations: upserts(5, 6) });
    assert.deepEqual(appliedA.body.changes, changes({ updated: 2, created: 1, cleared: 2 }));
    assert.deepEqual(await refresher.contents(), { r0: { v: 1 }, r1: { v: 1 }, r5: {} });
    // For equal timestamps the later commit wins; its counts compare with the result of the first.
    const planned = await refresher.refresh({ ...b, operations: [], dry_run: true });
    const appliedB = await refresher.refresh({ ...b, operations: [] });
    assert.deepEqual(appliedB.body.changes, changes({ unchanged: 2, created: 1, cleared: 1 }));
    assert.deepEqual(planned.body.changes, appliedB.body.changes);
    assert.deepEqual(await refresher.contents(), { r0: { v: 1 }, r1: { v: 1 }, r2: { v: 2 } });
    const [left] = await runs(refresher);
    assert.deepEqual([left!.refresh_id, left!.operations, left!.batches], [null, 2, 1]);
  });

  test("of two connectors on one namespace are independent, even if their requests are equal", async (t) => {
    const refresher = await startRefresher(t);
    const other = await refresher.addConnector();
    const fields = { sync_mode: "full_refresh", sync_timestamp: at(31), refresh_id: "same" };
    await refresher.stage(upserts(0, 3), fields);
    const otherPart = await refresher.syncText(
      { ...fields, last_batch: false, operations: upserts(0, 3) },
      {},
      other,
    );
    assert.deepEqual(otherPart.body.refresh, { refresh_id: "same", operations: 3, batches: 1 });
    const last = { ...fields, operations: upserts(7, 8) };
    const first = await refresher.syncText({ ...last, expected_operations: 4 });
    assert.deepEqual(first.body.changes, changes({ created: 4 }));
    const second = await refresher.syncText({ ...last, expected_operations: 4 }, {}, other);
    assert.deepEqual(second.body.changes, changes({ unchanged: 4 }));
    assert.notEqual(second.body.sync_id, first.body.sync_id);
    await assertSwept(refresher);
  });

  test("an older refresh that is applied meanwhile does not change a newer run", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 4, { v: 0 }) });
    await refresher.stage([...upserts(0, 3, { v: 1 }), remove("r3")], { sync_timestamp: at(40) });
    await refresher.refresh({
      operations: [...upserts(0, 1, { v: 1 }), ...upserts(1, 2), ...upserts(9, 10)],
    });
    const last = await refresher.refresh({ sync_timestamp: at(40), operations: [] });
    assert.deepEqual(
      last.body.changes,
      changes({ unchanged: 1, updated: 1, created: 1, absent: 1, cleared: 1 }),
    );
    assert.deepEqual(await refresher.contents(), { r0: { v: 1 }, r1: { v: 1 }, r2: { v: 1 } });
    await assertSwept(refresher);
  });
});

describe("a newer refresh", () => {
  test("immediately ends the older runs of its namespaces, whichever connector began them", async (t) => {
    const refresher = await startRefresher(t);
    const other = await refresher.addConnector();
    await refresher.sync({ operations: upserts(0, 3) });
    await refresher.stage([...upserts(0, 5, { v: 1 }), ...upserts(0, 5, {}, "second")], {
      refresh_id: "ended",
    });
    await refresher.stage(upserts(0, 5, {}, "elsewhere"), { refresh_id: "elsewhere" });
    await refresher.stage(upserts(0, 5), { refresh_id: "equal", sync_timestamp: at(40) });
    await refresher.stage(upserts(0, 5), { refresh_id: "newer", sync_timestamp: at(41) });
    const newer = { sync_mode: "full_refresh", sync_timestamp: at(40), operations: upserts(2, 4) };
    // None of these requests is applied, so all runs stay open.
    await refresher.syncText({ ...newer, dry_run: true }, {}, other);
    await refresher.syncText({ ...newer, removal_limit: 0 }, {}, other);
    await refresher.syncText({ ...newer, last_batch: false }, {}, other);
    await refresher.syncText({ ...newer, sync_mode: "incremental", operations: [] }, {}, other);
    assert.equal((await runs(refresher)).length, 5);

    const applied = await refresher.syncText({ ...newer, operations: upserts(4, 5) }, {}, other);
    assert.deepEqual(applied.body.changes, changes({ unchanged: 1, created: 2, cleared: 2 }));
    assert.deepEqual(await refreshIds(refresher), new Set(["elsewhere", "equal", "newer"]));

    const before = await refresher.rows();
    const ended: Record<string, unknown>[] = [
      { operations: upserts(5, 6), last_batch: false },
      { operations: upserts(5, 6, {}, "second"), last_batch: false },
      { operations: upserts(5, 6) },
      { operations: [], dry_run: true },
    ];
    for (const request of ended) {
      const answer = await refresher.refresh({ refresh_id: "ended", ...request });
      const { sync_timestamp, refresh_id } = assertError(answer, "STALE_SYNC");
      assert.deepEqual([sync_timestamp, refresh_id], [at(31), "ended"]);
      assert.match(answer.body.error.message, /newer/);
    }
    assert.deepEqual(await refresher.rows(), before);
    assert.deepEqual(await refresher.contents("second"), {});

    await refresher.refresh({ refresh_id: "elsewhere", operations: [] });
    await refresher.refresh({ refresh_id: "equal", sync_timestamp: at(40), operations: [] });
    const last = await refresher.refresh({ refresh_id: "newer", sync_timestamp: at(41), operations: [] });
    assert.deepEqual(last.body.changes, changes({ unchanged: 5 }));
    assert.deepEqual(await runs(refresher), []);
    await assertSwept(refresher);
  });
});

describe("a run without its last batch", () => {
  test("expires some hours after its last part, and changes nothing", async (t) => {
    const refresher = await startRefresher(t, { refreshRunHours: 3 });
    const { clock } = refresher.server;
    await refresher.sync({ operations: upserts(0, 3, { v: 0 }) });
    await refresher.stage(upserts(1, 5, { v: 1 }));
    clock.now += 3 * HOUR_MS;
    await refresher.runMaintenance();
    await refresher.stage([remove("r0")]);
    clock.now += 3 * HOUR_MS;
    await refresher.runMaintenance();
    assert.equal((await runs(refresher))[0]!.operations, 5);
    // A repeated part also extends the run.
    await refresher.stage([remove("r0")]);
    clock.now += 3 * HOUR_MS;
    await refresher.runMaintenance();
    assert.equal((await runs(refresher)).length, 1);
    clock.now += 1;
    await refresher.runMaintenance();
    assert.deepEqual(await runs(refresher), []);
    await assertSwept(refresher);
    assert.deepEqual(Object.keys(await refresher.contents()), ["r0", "r1", "r2"]);

    // Without its parts, the last batch would clear their records.
    const alone = await refresher.refresh({ operations: upserts(5, 6) });
    assert.equal(assertError(alone, "INCOMPLETE_REFRESH").sync_timestamp, at(31));
    assert.match(alone.body.error.message, /expired/);
    assertError(await refresher.refresh({ operations: [], dry_run: true }), "INCOMPLETE_REFRESH");
    // The parts may be sent again; the expired ones do not count.
    const resent = await refresher.stage([remove("r0")]);
    assert.deepEqual(resent.body.refresh, { refresh_id: null, operations: 1, batches: 1 });
    const last = await refresher.refresh({ operations: upserts(1, 2), expected_operations: 2 });
    assert.deepEqual(last.body.changes, changes({ removed: 1, updated: 1, cleared: 1 }));
    await assertSwept(refresher);
  });

  test("can be aborted by its connector and by an admin, and begun again", async (t) => {
    const refresher = await startRefresher(t);
    const { server, tenant, call } = refresher;
    const other = await refresher.addConnector();
    const reader = await createRoleKey(server.commands, "reader", tenant.organizationId);
    await refresher.sync({ operations: upserts(0, 3) });
    const begin = async () => {
      await refresher.stage(upserts(1, 5, { v: 1 }));
      return (await runs(refresher))[0]!.id;
    };
    const abort = (id: string, key?: string) =>
      call("DELETE", `/vector-stores/${tenant.storeId}/refreshes/${id}`, undefined, key);

    const id = await begin();
    assertError(await abort(id, reader), "INSUFFICIENT_PERMISSIONS");
    assertError(await abort(id, other.key), "RESOURCE_NOT_FOUND");
    assertError(await abort("run_unknown"), "RESOURCE_NOT_FOUND");
    assert.equal((await runs(refresher)).length, 1);
    const deleted = await abort(id, tenant.key);
    assert.deepEqual([deleted.status, deleted.body], [200, { id, object: "refresh", deleted: true }]);
    assertError(await abort(id, tenant.key), "RESOURCE_NOT_FOUND");
    assert.deepEqual(await runs(refresher), []);
    await assertSwept(refresher);

    // A last batch that arrives after the abort must not be applied without the parts.
    assertError(await refresher.refresh({ operations: upserts(0, 1) }), "INCOMPLETE_REFRESH");
    assert.equal((await abort(await begin())).status, 200);
    await begin();
    const last = await refresher.refresh({ operations: [], expected_operations: 4 });
    assert.deepEqual(last.body.changes, changes({ updated: 2, created: 2, cleared: 1 }));
    // An applied run can no longer be aborted.
    assertError(await abort(id), "RESOURCE_NOT_FOUND");
    await assertSwept(refresher);
  });
});
