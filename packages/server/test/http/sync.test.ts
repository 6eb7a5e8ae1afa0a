import assert from "node:assert/strict";
import { test } from "node:test";
import { createTenant, startTestServer, syncBody } from "../test-server.ts";

test("a sync is acknowledged with its counts, and check-exists sees it", async (t) => {
  const server = await startTestServer(t);
  const tenant = await createTenant(server.commands);
  const headers = { "x-api-key": tenant.key };
  const upsert = (id: string, data: object) => ({ action: "upsert", id, namespace: "tasks", data });

  const first = await server.post(
    "/v1/pipeline/sync",
    syncBody(tenant, { operations: [upsert("a", { n: 1 }), upsert("b", { n: 2 }), upsert("a", { n: 3 })] }),
    headers,
  );
  assert.equal(first.status, 200);
  assert.deepEqual(first.body.results, { upserted: 3, deleted: 0, failed: 0 });
  assert.deepEqual(first.body.by_namespace, { tasks: { upserted: 3, deleted: 0, failed: 0 } });
  assert.deepEqual(first.body.changes, {
    created: 2,
    updated: 0,
    unchanged: 0,
    removed: 0,
    absent: 0,
    stale: 0,
    superseded: 1,
    cleared: 0,
  });

  const { organization_id, vector_store_id } = syncBody(tenant);
  const check = await server.post(
    "/v1/connectors/pipeline/check-exists",
    { organization_id, vector_store_id, namespace: "tasks", ids: ["b", "x", "a", "b"] },
    headers,
  );
  assert.equal(check.status, 200);
  assert.deepEqual(check.body, { existing_ids: ["b", "a", "b"], new_ids: ["x"], total_checked: 4 });
});

test("a full refresh clears the records that it does not name", async (t) => {
  const server = await startTestServer(t);
  const tenant = await createTenant(server.commands);
  const headers = { "x-api-key": tenant.key };
  const upsert = (id: string, data: object) => ({ action: "upsert", id, namespace: "tasks", data });
  const sync = (fields: Record<string, unknown>) =>
    server.post("/v1/pipeline/sync", syncBody(tenant, fields), headers);

  await sync({ operations: [upsert("a", {}), upsert("b", {}), upsert("c", {})] });
  const refresh = await sync({
    sync_mode: "full_refresh",
    sync_timestamp: "2025-11-11T10:31:00Z",
    operations: [upsert("a", {}), upsert("b", { changed: true }), upsert("d", {})],
  });
  assert.deepEqual(refresh.body.changes, {
    created: 1,
    updated: 1,
    unchanged: 1,
    removed: 0,
    absent: 0,
    stale: 0,
    superseded: 0,
    cleared: 1,
  });
  const emptied = await sync({
    sync_mode: "full_refresh",
    sync_timestamp: "2025-11-11T10:32:00Z",
    namespaces: ["tasks"],
  });
  assert.equal(emptied.body.changes.cleared, 3);
  const late = await sync({ sync_mode: "full_refresh", operations: [upsert("a", {})] });
  assert.equal(late.status, 409);
  assert.equal(late.body.error.code, "STALE_SYNC");
});
