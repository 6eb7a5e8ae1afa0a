import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { SyncObject } from "@tidemark/protocol/browse";
import { createRoleKey, syncBody } from "../test-server.ts";
import { assertError, assertFieldError } from "./error-answer.ts";
import { allPages } from "./management.ts";
import { SYNC } from "./pipeline.ts";
import {
  at,
  changes,
  invalid,
  type Refresher,
  remove,
  startRefresher,
  upserts,
} from "./staged-refresh-client.ts";

const DAY_MS = 24 * 3_600_000;

const idsOf = async ({ get }: Refresher, path = "/syncs", key?: string) =>
  (await get(path, key)).body.data.map(({ id }: SyncObject) => id);

describe("GET syncs", () => {
  test("lists who synced what, when and how, newest first", async (t) => {
    const refresher = await startRefresher(t);
    const { server, tenant } = refresher;
    const send = async (fields: Record<string, unknown>) => {
      server.clock.now += 1000;
      const answer = await server.post(SYNC, syncBody(tenant, fields), { "x-api-key": tenant.key });
      const received_at = new Date(server.clock.now).toISOString();
      return { ...answer.body, received_at, trace_id: answer.headers.get("x-request-id") };
    };
    const refresh = { sync_mode: "full_refresh", sync_timestamp: "2025-11-11T11:31:00.000000001+01:00" };
    const answers = [
      await send({ operations: [...upserts(0, 3), remove("x")] }),
      await send({ operations: [...upserts(0, 3), invalid("y")], on_error: "continue" }),
      await send({ ...refresh, refresh_id: "a", last_batch: false, operations: upserts(0, 2) }),
      await send({ ...refresh, refresh_id: "a", operations: upserts(5, 6, {}, "other") }),
      await send({ sync_timestamp: at(32), operations: [] }),
    ];
    const objects = answers.map((answer, index) => ({
      object: "sync",
      id: answer.sync_id,
      connector_id: tenant.connectorId,
      sync_mode: index === 2 || index === 3 ? "full_refresh" : "incremental",
      sync_timestamp: [
        at(30),
        at(30),
        "2025-11-11T10:31:00.000000001Z",
        "2025-11-11T10:31:00.000000001Z",
        at(32),
      ][index],
      refresh_id: index === 2 || index === 3 ? "a" : null,
      status: answer.status,
      received_at: answer.received_at,
      processing_time_ms: answer.processing_time_ms,
      trace_id: answer.trace_id,
      results: answer.results,
      by_namespace: answer.by_namespace,
      changes: answer.changes,
      // The counts include all earlier syncs, because nothing is indexed yet.
      indexing: { pending: [3, 3, 3, 4, 4][index], failed: 0, oldest_pending_at: answers[0].received_at },
    }));
    assert.deepEqual(
      answers.map(({ status }) => status),
      ["success", "partial", "staged", "success", "success"],
    );
    const { body } = await refresher.get("/syncs");
    assert.deepEqual(body, { object: "list", data: objects.reverse(), has_more: false, next_cursor: null });
    for (const object of objects) assert.deepEqual((await refresher.get(`/syncs/${object.id}`)).body, object);
  });

  test("does not list rejected, planned or replayed syncs", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.stage(upserts(0, 3));
    await refresher.refresh({ operations: upserts(3, 4) });
    const before = await idsOf(refresher);
    assert.equal(before.length, 2);
    await refresher.refresh({ operations: upserts(3, 4) });
    await refresher.refresh({ operations: upserts(4, 5) });
    const newer = { sync_timestamp: at(32), operations: [remove("r0")] };
    await refresher.sync({ ...newer, removal_limit: 0 });
    await refresher.sync({ ...newer, dry_run: true });
    await refresher.sync({ operations: [{}] });
    assert.deepEqual(await idsOf(refresher), before);
    const { body } = await refresher.get(`/syncs/${before[0]}`);
    assert.deepEqual(body.changes, changes({ created: 4 }));
  });

  test("lists pages, and filters by connector and mode", async (t) => {
    const refresher = await startRefresher(t);
    const { tenant, admin } = refresher;
    const other = await refresher.addConnector();
    const syncs: { id: string; connector: string; mode: string }[] = [];
    for (let n = 0; n < 12; n++) {
      const by = n % 3 === 0 ? other : tenant;
      const mode = n % 4 === 0 ? "full_refresh" : "incremental";
      const fields = { sync_mode: mode, sync_timestamp: at(31), operations: upserts(0, 1) };
      const { body } = await refresher.syncText(fields, {}, by);
      syncs.unshift({ id: body.sync_id, connector: by.connectorId, mode });
    }
    const path = `/vector-stores/${tenant.storeId}/syncs`;
    const pages = await allPages(refresher, path, 5);
    assert.deepEqual(
      pages.map(({ data }) => data.length),
      [5, 5, 2],
    );
    const listed = pages.flatMap(({ data }) => data.map(({ id }: SyncObject) => id));
    assert.deepEqual(
      listed,
      syncs.map(({ id }) => id),
    );

    const filters: [query: string, matches: (sync: (typeof syncs)[0]) => boolean][] = [
      [`connector_id=${other.connectorId}`, ({ connector }) => connector === other.connectorId],
      ["sync_mode=full_refresh", ({ mode }) => mode === "full_refresh"],
      ["sync_mode=incremental", ({ mode }) => mode === "incremental"],
      [
        `connector_id=${tenant.connectorId}&sync_mode=full_refresh`,
        ({ connector, mode }) => connector === tenant.connectorId && mode === "full_refresh",
      ],
      ["connector_id=conn_unknown", () => false],
    ];
    for (const [query, matches] of filters) {
      const expected = syncs.filter(matches).map(({ id }) => id);
      assert.deepEqual(await idsOf(refresher, `/syncs?${query}`, admin), expected, query);
    }
    // A cursor works with a filter, and later pages exclude syncs that arrive in the meantime.
    const [first] = (await refresher.get("/syncs?sync_mode=incremental&limit=4", admin)).body.data;
    const { next_cursor } = (await refresher.get("/syncs?sync_mode=incremental&limit=4", admin)).body;
    await refresher.sync({ operations: [] });
    const rest = await idsOf(refresher, `/syncs?sync_mode=incremental&cursor=${next_cursor}`, admin);
    const all = syncs.filter(({ mode }) => mode === "incremental").map(({ id }) => id);
    assert.deepEqual([first.id, rest], [all[0], all.slice(4)]);
  });

  test("shows a connector only its own syncs, and a reader all of them", async (t) => {
    const refresher = await startRefresher(t);
    const { tenant, admin, server } = refresher;
    const other = await refresher.addConnector();
    const reader = await createRoleKey(server.commands, "reader", tenant.organizationId, tenant.storeId);
    const ownSync = (await refresher.syncText({ operations: upserts(0, 1) })).body.sync_id;
    const otherSync = (await refresher.syncText({ operations: upserts(0, 1) }, {}, other)).body.sync_id;
    assert.deepEqual(await idsOf(refresher), [ownSync]);
    assert.deepEqual(await idsOf(refresher, "/syncs", other.key), [otherSync]);
    assert.deepEqual(await idsOf(refresher, `/syncs?connector_id=${other.connectorId}`), []);
    for (const key of [reader, admin])
      assert.deepEqual(await idsOf(refresher, "/syncs", key), [otherSync, ownSync]);
    const answer = await refresher.get(`/syncs/${otherSync}`);
    assert.deepEqual(assertError(answer, "RESOURCE_NOT_FOUND"), { id: otherSync });
    for (const key of [reader, admin, other.key]) {
      assert.equal((await refresher.get(`/syncs/${otherSync}`, key)).body.id, otherSync);
    }
    assertError(await refresher.get("/syncs/sync_unknown"), "RESOURCE_NOT_FOUND");
  });

  test("rejects invalid cursors and filters", async (t) => {
    const refresher = await startRefresher(t);
    for (const text of ["", "x", "after:", "after:-1", "after:1.5", "after:x", `after:${"9".repeat(16)}`]) {
      const cursor = Buffer.from(text).toString("base64url");
      assertFieldError(await refresher.get(`/syncs?cursor=${cursor}`), "cursor", "INVALID_CURSOR");
    }
    const wrong = { sync_mode: "partial", connector_id: "vs_1", limit: "0", status: "staged" };
    for (const [field, text] of Object.entries(wrong)) {
      const { errors } = assertError(await refresher.get(`/syncs?${field}=${text}`), "VALIDATION_ERROR");
      assert.equal(errors[0].field, field);
    }
  });

  test("removes old syncs from the history but keeps their records", async (t) => {
    const refresher = await startRefresher(t, { historyDays: 2 });
    const { clock } = refresher.server;
    await refresher.stage(upserts(0, 3));
    const last = { operations: upserts(3, 4) };
    const applied = await refresher.refresh(last);
    clock.now += DAY_MS;
    const recent = (await refresher.sync({ sync_timestamp: at(40), operations: upserts(4, 5) })).body.sync_id;
    clock.now += DAY_MS;
    await refresher.runMaintenance();
    assert.equal((await idsOf(refresher)).length, 3);
    assert.deepEqual((await refresher.refresh(last)).body, applied.body);
    clock.now += 1;
    await refresher.runMaintenance();
    assert.deepEqual(await idsOf(refresher), [recent]);
    assertError(await refresher.get(`/syncs/${applied.body.sync_id}`), "RESOURCE_NOT_FOUND");
    // The answer of the last batch outlives the history, because a repeated batch must not be applied twice.
    assert.deepEqual((await refresher.refresh(last)).body, applied.body);
    assert.deepEqual(Object.keys(await refresher.contents()), ["r0", "r1", "r2", "r3", "r4"]);
  });
});

describe("GET refreshes", () => {
  test("lists the connector and the progress of each unfinished run", async (t) => {
    const refresher = await startRefresher(t);
    const { server, tenant, admin } = refresher;
    const other = await refresher.addConnector();
    const started_at = new Date(server.clock.now).toISOString();
    await refresher.stage([...upserts(0, 3), ...upserts(0, 2, {}, "b")], { namespaces: ["a"] });
    server.clock.now += 1000;
    const last_part_at = new Date(server.clock.now).toISOString();
    await refresher.stage([...upserts(3, 5), invalid("y")], { on_error: "continue" });
    const fields = {
      sync_mode: "full_refresh",
      sync_timestamp: at(40),
      refresh_id: "theirs",
      last_batch: false,
    };
    await refresher.syncText({ ...fields, operations: [] }, {}, other);
    const ownRun = {
      object: "refresh",
      connector_id: tenant.connectorId,
      sync_timestamp: at(31),
      refresh_id: null,
      namespaces: ["a", "b", "tasks"],
      operations: 8,
      batches: 2,
      started_at,
      last_part_at,
    };
    const otherRun = {
      ...ownRun,
      connector_id: other.connectorId,
      sync_timestamp: at(40),
      refresh_id: "theirs",
      namespaces: [],
      operations: 0,
      batches: 1,
      started_at: last_part_at,
    };
    const shown = async (key?: string) =>
      (await refresher.get("/refreshes", key)).body.data.map(({ id, ...run }: { id: string }) => {
        assert.match(id, /^run_/);
        return run;
      });
    assert.deepEqual(await shown(), [ownRun]);
    assert.deepEqual(await shown(other.key), [otherRun]);
    const allRuns = await shown(admin);
    assert.equal(allRuns.length, 2);
    for (const run of [ownRun, otherRun])
      assert.ok(allRuns.some((shown: object) => JSON.stringify(shown) === JSON.stringify(run)));
    const pages = await allPages(refresher, `/vector-stores/${tenant.storeId}/refreshes`, 1);
    assert.deepEqual(
      pages.map(({ data }) => data.length),
      [1, 1],
    );
    assertFieldError(await refresher.get("/refreshes?cursor=x"), "cursor", "INVALID_CURSOR");
    // A refresh in one request never appears as unfinished.
    await refresher.refresh({ sync_timestamp: at(41), operations: upserts(0, 1, {}, "a") });
    assert.deepEqual(await shown(), []);
    assert.deepEqual(await shown(other.key), [otherRun]);
  });
});
