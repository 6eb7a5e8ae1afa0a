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

/** Sweeps, and asserts that nothing is left of any run but what is still open. */
async function assertSwept(refresher: Refresher): Promise<void> {
  await refresher.runMaintenance();
  await readRecords(refresher.server.storage, refresher.tenant.storeId, { swept: true });
  const rows = (await refresher.rows()) as Record<string, string[]>;
  for (const table of ["refresh_run_namespaces", "refresh_run_parts", "refresh_run_exceptions"]) {
    assert.deepEqual(rows[table], [], table);
  }
}

describe("the last batch of a run that was applied", () => {
  test("sent again gets the same answer, byte for byte, and loses nothing", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.stage([...upserts(0, 3, { v: 1 }), remove("x")]);
    const last = { sync_mode: "full_refresh", sync_timestamp: at(31), operations: upserts(3, 5, { v: 1 }) };
    const first = await refresher.syncText({ ...last, expected_operations: 6, removal_limit: 0 });
    assert.deepEqual([first.status, first.replayed], [200, null]);
    assert.deepEqual(first.body.changes, changes({ created: 5, absent: 1 }));
    // What was said since stays.
    await refresher.sync({ sync_timestamp: at(31), operations: [...upserts(0, 1, { v: 2 }), remove("r4")] });
    const before = await refresher.rows();
    for (let again = 0; again < 2; again++) {
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

  test("is told by its operations, whatever their spelling", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.stage(upserts(0, 3));
    const first = await refresher.refresh({ operations: upserts(3, 4, { a: 1, b: [2] }) });
    const spelled = [{ data: { b: [2.0], a: 1 }, namespace: "tasks", id: "r3", action: "upsert" }];
    assert.deepEqual((await refresher.refresh({ operations: spelled })).body, first.body);
  });

  test("is another one with other namespaces: they were not refreshed by it", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 3, {}, "other") });
    await refresher.stage(upserts(0, 3));
    assert.equal((await refresher.refresh({ operations: [], namespaces: ["tasks"] })).status, 200);
    assertError(await refresher.refresh({ operations: [], namespaces: ["other"] }), "STALE_SYNC");
  });

  test("is the only request of the run that is not refused: late parts and others are stale", async (t) => {
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
    // Another refresh_id is another run, though the timestamp is the same.
    await refresher.stage(upserts(0, 3));
    await refresher.stage(upserts(0, 3), { refresh_id: "b" });
  });
});

describe("runs side by side", () => {
  test("of one connector and timestamp do not touch each other, by their refresh_id", async (t) => {
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
    // Of equal timestamps the later commit wins; its counts are against what the first one left.
    const planned = await refresher.refresh({ ...b, operations: [], dry_run: true });
    const appliedB = await refresher.refresh({ ...b, operations: [] });
    assert.deepEqual(appliedB.body.changes, changes({ unchanged: 2, created: 1, cleared: 1 }));
    assert.deepEqual(planned.body.changes, appliedB.body.changes);
    assert.deepEqual(await refresher.contents(), { r0: { v: 1 }, r1: { v: 1 }, r2: { v: 2 } });
    const [left] = await runs(refresher);
    assert.deepEqual([left!.refresh_id, left!.operations, left!.batches], [null, 2, 1]);
  });

  test("of two connectors on one namespace are apart, though all they say is the same", async (t) => {
    const refresher = await startRefresher(t);
    const other = await refresher.addConnector();
    const fields = { sync_mode: "full_refresh", sync_timestamp: at(31), refresh_id: "same" };
    await refresher.stage(upserts(0, 3), fields);
    const theirs = await refresher.syncText(
      { ...fields, last_batch: false, operations: upserts(0, 3) },
      {},
      other,
    );
    assert.deepEqual(theirs.body.refresh, { refresh_id: "same", operations: 3, batches: 1 });
    const last = { ...fields, operations: upserts(7, 8) };
    const own = await refresher.syncText({ ...last, expected_operations: 4 });
    assert.deepEqual(own.body.changes, changes({ created: 4 }));
    const second = await refresher.syncText({ ...last, expected_operations: 4 }, {}, other);
    assert.deepEqual(second.body.changes, changes({ unchanged: 4 }));
    assert.notEqual(second.body.sync_id, own.body.sync_id);
    await assertSwept(refresher);
  });

  test("an older refresh that is applied meanwhile leaves a newer run as it is", async (t) => {
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
  test("ends the older runs of each of its namespaces at once, whoever began them", async (t) => {
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
    // None of these is applied: all runs go on.
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
  test("is forgotten some hours after its last part, and changes nothing", async (t) => {
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
    // A part that comes again is a sign of life too.
    await refresher.stage([remove("r0")]);
    clock.now += 3 * HOUR_MS;
    await refresher.runMaintenance();
    assert.equal((await runs(refresher)).length, 1);
    clock.now += 1;
    await refresher.runMaintenance();
    assert.deepEqual(await runs(refresher), []);
    await assertSwept(refresher);
    assert.deepEqual(Object.keys(await refresher.contents()), ["r0", "r1", "r2"]);

    // Applied without its parts, its last batch would clear what they had.
    const alone = await refresher.refresh({ operations: upserts(5, 6) });
    assert.equal(assertError(alone, "INCOMPLETE_REFRESH").sync_timestamp, at(31));
    assert.match(alone.body.error.message, /expired/);
    assertError(await refresher.refresh({ operations: [], dry_run: true }), "INCOMPLETE_REFRESH");
    // Its parts may be sent anew; none of the old ones counts.
    const anew = await refresher.stage([remove("r0")]);
    assert.deepEqual(anew.body.refresh, { refresh_id: null, operations: 1, batches: 1 });
    const last = await refresher.refresh({ operations: upserts(1, 2), expected_operations: 2 });
    assert.deepEqual(last.body.changes, changes({ removed: 1, updated: 1, cleared: 1 }));
    await assertSwept(refresher);
  });

  test("can be given up by its connector and by an admin, and begun anew", async (t) => {
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

    // A last batch that was under way must not be applied without the parts.
    assertError(await refresher.refresh({ operations: upserts(0, 1) }), "INCOMPLETE_REFRESH");
    assert.equal((await abort(await begin())).status, 200);
    await begin();
    const last = await refresher.refresh({ operations: [], expected_operations: 4 });
    assert.deepEqual(last.body.changes, changes({ updated: 2, created: 2, cleared: 1 }));
    // An applied run is none that could be given up.
    assertError(await abort(id), "RESOURCE_NOT_FOUND");
    await assertSwept(refresher);
  });
});
