import assert from "node:assert/strict";
import { test } from "node:test";
import { createTenant, startTestServer, syncBody } from "../test-server.ts";

const upsert = (id: string, data: object = {}) => ({ action: "upsert", id, namespace: "tasks", data });
const ids = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `r${from + i}`);

test("a refresh in three parts is invisible until its last batch, and then whole", async (t) => {
  const server = await startTestServer(t);
  const tenant = await createTenant(server.commands);
  const headers = { "x-api-key": tenant.key };
  const sync = (fields: Record<string, unknown>) =>
    server.post("/v1/pipeline/sync", syncBody(tenant, fields), headers);
  const existing = async (wanted: string[]) => {
    const { organization_id, vector_store_id } = syncBody(tenant);
    const body = { organization_id, vector_store_id, namespace: "tasks", ids: wanted };
    return (await server.post("/v1/pipeline/check-exists", body, headers)).body.existing_ids.length;
  };
  await sync({ operations: ids(0, 100).map((id) => upsert(id)) });
  const refresh = { sync_mode: "full_refresh", sync_timestamp: "2025-11-11T10:31:00Z", refresh_id: "a" };
  const part1 = await sync({
    ...refresh,
    last_batch: false,
    operations: ids(50, 150).map((id) => upsert(id)),
  });
  assert.equal(part1.body.status, "staged");
  assert.deepEqual(part1.body.refresh, { refresh_id: "a", operations: 100, batches: 1 });
  const again = await sync({
    ...refresh,
    last_batch: false,
    operations: ids(50, 150).map((id) => upsert(id)),
  });
  assert.deepEqual(again.body.refresh, { refresh_id: "a", operations: 100, batches: 1 });
  await sync({ ...refresh, last_batch: false, operations: ids(150, 250).map((id) => upsert(id, { n: 1 })) });
  assert.equal(await existing(ids(0, 250)), 100);

  const incomplete = await sync({
    ...refresh,
    expected_operations: 301,
    operations: ids(250, 350).map((id) => upsert(id)),
  });
  assert.equal(incomplete.status, 409);
  assert.deepEqual(incomplete.body.error.details, {
    expected_operations: 301,
    received_operations: 300,
    received_batches: 3,
  });
  assert.equal(await existing(ids(0, 350)), 100);
  // An incremental sync in between, newer than the run, survives it.
  await sync({
    sync_timestamp: "2025-11-11T10:32:00Z",
    operations: [upsert("r0", { newer: 1 }), { action: "delete", id: "r60", namespace: "tasks" }],
  });
  const limited = await sync({
    ...refresh,
    removal_limit: 48,
    operations: ids(250, 350).map((id) => upsert(id)),
  });
  assert.equal(limited.status, 409, JSON.stringify(limited.body));
  assert.deepEqual(limited.body.error.details.namespaces, [
    { namespace: "tasks", records: 99, removed: 0, cleared: 49 },
  ]);
  const planned = await sync({
    ...refresh,
    dry_run: true,
    operations: ids(250, 350).map((id) => upsert(id)),
  });
  assert.equal(planned.body.status, "planned");
  assert.equal(planned.body.sync_id, null);
  assert.equal(planned.body.samples.cleared.length, 20);
  const last = {
    ...refresh,
    removal_limit: "50%",
    expected_operations: 300,
    operations: ids(250, 350).map((id) => upsert(id)),
  };
  const applied = await sync(last);
  assert.equal(applied.status, 200, JSON.stringify(applied.body));
  assert.deepEqual(applied.body.changes, {
    created: 250,
    updated: 0,
    unchanged: 49,
    removed: 0,
    absent: 0,
    stale: 1,
    superseded: 0,
    cleared: 49,
  });
  assert.deepEqual(planned.body.changes, applied.body.changes);
  assert.deepEqual(planned.body.digests, applied.body.digests);
  assert.equal(await existing(ids(0, 350)), 300);
  const replay = await sync(last);
  assert.deepEqual(replay.body, applied.body);
  const late = await sync({ ...refresh, last_batch: false, operations: [upsert("zz")] });
  assert.equal(late.status, 409);
  assert.equal(late.body.error.code, "STALE_SYNC");

  const path = `/v1/organizations/${tenant.organizationId}/vector-stores/${tenant.storeId}`;
  const get = (tail: string) => server.request("GET", path + tail, { headers });
  const namespaces = await get("/namespaces");
  assert.equal(namespaces.body.data[0].records, 300);
  assert.equal(namespaces.body.data[0].digest, applied.body.digests.tasks);
  const syncs = await get("/syncs");
  assert.deepEqual(
    syncs.body.data.map((s: { status: string }) => s.status),
    ["success", "success", "staged", "staged", "staged", "success"],
  );
  const page = await get("/records?namespace=tasks&limit=100");
  assert.equal(page.body.data.length, 100);
  assert.equal(
    (await get(`/records?namespace=tasks&limit=100&cursor=${page.body.next_cursor}`)).body.data.length,
    100,
  );
  assert.deepEqual((await get("/record?namespace=tasks&id=r0")).body.data, { newer: 1 });
  assert.equal((await get("/record?namespace=tasks&id=r1")).status, 404);
  assert.equal((await get("/refreshes")).body.data.length, 0);
  while (await server.commands.keepHouse());
  const { body } = await get("/namespaces");
  assert.equal(body.data[0].records, 300);
});
