import assert from "node:assert/strict";
import { test } from "node:test";
import { createRoleKey, createTenant, syncBody } from "../test-server.ts";
import { assertError, assertFieldError } from "./error-answer.ts";
import { CHECK_EXISTS, SYNC, startPipeline, upsert } from "./pipeline.ts";

const FUTURE = "2030-01-01T00:00:00Z";

test("the route is checked before the key", async (t) => {
  const { server } = await startPipeline(t);
  assertError(await server.post("/v1/pipeline/nothing", {}), "RESOURCE_NOT_FOUND");
  assertError(await server.request("PUT", SYNC, { body: {} }), "METHOD_NOT_ALLOWED");
});

test("the key is checked before the rate limit and the body", async (t) => {
  const { server, tenant, sync } = await startPipeline(t, { rateLimitPerMinute: 1, bodyLimitBytes: 1024 });
  const strangers: [headers: Record<string, string>, body: string][] = [
    [{}, "{"],
    [{}, "x".repeat(5000)],
    [{ "content-type": "text/plain" }, ""],
    [{ "content-encoding": "br" }, "{}"],
    [{ accept: "text/html" }, "{}"],
  ];
  for (const [headers, body] of strangers) {
    assertError(await server.post(SYNC, body, headers), "AUTHENTICATION_REQUIRED");
  }
  assert.equal((await sync({})).status, 200, "requests without a key do not count for the organization");
  assertError(await sync({}), "RATE_LIMIT_EXCEEDED");
  const noKey = await server.post(SYNC, syncBody(tenant));
  assertError(noKey, "AUTHENTICATION_REQUIRED");
});

test("the rate limit is checked before the body", async (t) => {
  const { sync, send } = await startPipeline(t, { rateLimitPerMinute: 1, bodyLimitBytes: 1024 });
  await sync({});
  for (const [headers, body] of [
    [{}, "{"],
    [{}, "x".repeat(5000)],
    [{ "content-type": "text/plain" }, ""],
    [{ accept: "text/html" }, "{}"],
  ] as [Record<string, string>, string][]) {
    assertError(await send(body, headers), "RATE_LIMIT_EXCEEDED");
  }
});

test("the body's shape is checked before the permission, and its meaning after", async (t) => {
  const { server, tenant, state } = await startPipeline(t);
  const other = await createTenant(server.commands);
  const admin = await createRoleKey(server.commands, "admin", tenant.organizationId);
  const foreign = { organization_id: other.organizationId, vector_store_id: other.storeId };
  const post = (path: string, body: unknown, key = tenant.key) =>
    server.post(path, body, { "x-api-key": key });
  const before = await state();

  const badOperation = { operations: [{ ...upsert("a"), id: 5 }] };
  const tooMany = { operations: Array.from({ length: 5001 }, (_, i) => upsert(String(i))) };
  await t.test("invalid JSON with a key of the wrong role gets a 400", async () => {
    assertError(await post(SYNC, "{", admin), "INVALID_JSON");
  });
  await t.test("an oversized batch for another organization's store gets a 400", async () => {
    assertError(await post(SYNC, syncBody(tenant, { ...foreign, ...tooMany })), "BATCH_SIZE_EXCEEDED");
    assertError(await post(SYNC, syncBody(tenant, tooMany), admin), "BATCH_SIZE_EXCEEDED");
  });
  await t.test("an invalid body for another organization's store gets a 422", async () => {
    const body = syncBody(tenant, { ...foreign, ...badOperation });
    assertFieldError(await post(SYNC, body), "operations[0].id", "INVALID_TYPE");
    const question = { ...foreign, namespace: "n", ids: [5] };
    assertFieldError(await post(CHECK_EXISTS, question), "ids[0]", "INVALID_TYPE");
  });
  await t.test("an invalid body with a key of the wrong role gets a 422", async () => {
    const body = syncBody(tenant, badOperation);
    assertFieldError(await post(SYNC, body, admin), "operations[0].id", "INVALID_TYPE");
  });
  await t.test("an impossible date for another organization's store gets a 422", async () => {
    const body = syncBody(tenant, { ...foreign, sync_timestamp: "2024-02-30T00:00:00Z" });
    assertFieldError(await post(SYNC, body), "sync_timestamp", "INVALID_DATE_TIME");
  });
  await t.test("a timestamp in the future for another organization's store gets a 403", async () => {
    const body = syncBody(tenant, { ...foreign, sync_timestamp: FUTURE });
    assertError(await post(SYNC, body), "INSUFFICIENT_PERMISSIONS");
    assertError(
      await post(SYNC, syncBody(tenant, { sync_timestamp: FUTURE }), admin),
      "INSUFFICIENT_PERMISSIONS",
    );
  });
  await t.test("a stale refresh of another organization's store gets a 403", async () => {
    const refresh = { sync_mode: "full_refresh", operations: [upsert("a")] };
    const applied = await post(SYNC, syncBody(other, refresh), other.key);
    assert.equal(applied.status, 200);
    const stale = { ...refresh, ...foreign, sync_timestamp: "2025-01-01T00:00:00Z" };
    assertError(await post(SYNC, syncBody(tenant, stale)), "INSUFFICIENT_PERMISSIONS");
  });
  await t.test(
    "management of another organization gets a 422 for an invalid body and a 403 for a valid one",
    async () => {
      const stores = `/v1/organizations/${other.organizationId}/vector-stores`;
      assertFieldError(await post(stores, { name: 5 }, admin), "name", "INVALID_TYPE");
      assertFieldError(await post(stores, {}, tenant.key), "name", "REQUIRED");
      assertError(await post(stores, { name: "x" }, admin), "INSUFFICIENT_PERMISSIONS");
      assertError(await post(stores, { name: "x" }, tenant.key), "INSUFFICIENT_PERMISSIONS");
    },
  );
  assert.deepEqual(await state(), before);
});

test("a timestamp more than five minutes ahead gets a 422 with the server's time", async (t) => {
  const { server, sync, existing } = await startPipeline(t);
  const inFive = server.clock.now + 5 * 60_000;
  const at = (ms: number) => new Date(ms).toISOString();
  const late = await sync({ sync_timestamp: at(inFive).replace("Z", "000001Z"), operations: [upsert("a")] });
  assertFieldError(late, "sync_timestamp", "IN_THE_FUTURE");
  assert.equal(late.body.error.details.server_time, at(server.clock.now));
  assert.deepEqual(await existing("tasks", ["a"]), []);
  const edge = await sync({ sync_timestamp: at(inFive), operations: [upsert("a")] });
  assert.equal(edge.status, 200);
});
