import assert from "node:assert/strict";
import { test } from "node:test";
import { type Answer, createTenant, startTestServer, syncBody, type Tenant } from "../test-server.ts";
import { assertError } from "./error-answer.ts";
import { CHECK_EXISTS, SYNC } from "./pipeline.ts";

const OTHER_SYNC = "/v1/connectors/pipeline/sync";
const OTHER_CHECK_EXISTS = "/v1/connectors/pipeline/check-exists";

const question = ({ organizationId, storeId }: Tenant) => ({
  organization_id: organizationId,
  vector_store_id: storeId,
  namespace: "n",
  ids: [],
});

/** Reads the five rate headers, and asserts that they agree with each other and the clock. */
function limitOf(
  answer: Answer,
  policy: string,
  now: number,
): { limit: number; remaining: number; resetS: number } {
  const header = (name: string) => answer.headers.get(name) ?? assert.fail(`no ${name}`);
  const [, name, quota] = /^"([\w-]+)";q=(\d+);w=60$/.exec(header("ratelimit-policy"))!;
  const [, sameName, remaining, resetS] = /^"([\w-]+)";r=(\d+);t=(\d+)$/.exec(header("ratelimit"))!;
  assert.deepEqual([name, sameName], [policy, policy]);
  assert.equal(header("x-ratelimit-limit"), quota);
  assert.equal(header("x-ratelimit-remaining"), remaining);
  assert.equal(Number(header("x-ratelimit-reset")), Math.ceil(now / 1000) + Number(resetS));
  assert.ok(Number(resetS) >= 1 && Number(resetS) <= 60);
  return { limit: Number(quota), remaining: Number(remaining), resetS: Number(resetS) };
}

test("request 101 of a minute gets a 429, counted per organization over both prefixes", async (t) => {
  const server = await startTestServer(t);
  const [tenant, other] = [await createTenant(server.commands), await createTenant(server.commands)];
  const send = (path: string, caller = tenant) =>
    server.post(path, path.endsWith("sync") ? syncBody(caller) : question(caller), {
      "x-api-key": caller.key,
    });

  for (const [policy, ...paths] of [
    ["check-exists", CHECK_EXISTS, OTHER_CHECK_EXISTS],
    ["sync", SYNC, OTHER_SYNC],
  ] as const) {
    await t.test(policy, async () => {
      for (let i = 0; i < 100; i++) {
        const answer = await send(paths[i % 2]!);
        assert.equal(answer.status, 200, `request ${i + 1}`);
        const window = limitOf(answer, policy, server.clock.now);
        assert.deepEqual(window, { limit: 100, remaining: 99 - i, resetS: 60 });
        assert.equal(answer.headers.get("retry-after"), null);
      }
      for (const path of paths) {
        const rejected = await send(path);
        assert.deepEqual(assertError(rejected, "RATE_LIMIT_EXCEEDED"), { limit: 100, window_ms: 60_000 });
        assert.equal(rejected.headers.get("retry-after"), "60");
        assert.equal(limitOf(rejected, policy, server.clock.now).remaining, 0);
      }
    });
  }
  await t.test("another organization has its own limit", async () => {
    for (const path of [SYNC, OTHER_SYNC, CHECK_EXISTS]) assert.equal((await send(path, other)).status, 200);
  });
  await t.test("other endpoints have no limit", async () => {
    const query = `organization_id=${tenant.organizationId}&vector_store_id=${tenant.storeId}`;
    for (const path of ["/v1/pipeline/health", `/v1/pipeline/health/validate?${query}`]) {
      const answer = await server.request("GET", path, { headers: { "x-api-key": tenant.key } });
      assert.equal(answer.status, 200);
      assert.equal(answer.headers.get("ratelimit"), null);
    }
  });
});

test("all keys of an organization share its limit", async (t) => {
  const server = await startTestServer(t, { rateLimitPerMinute: 2 });
  const tenant = await createTenant(server.commands);
  const second = await server.commands.createConnector(
    tenant.organizationId,
    { name: "second", storeId: tenant.storeId },
    Date.now(),
  );
  const send = async (key: string) =>
    (await server.post(SYNC, syncBody(tenant), { "x-api-key": key })).status;
  assert.deepEqual(
    [await send(tenant.key), await send(second.api_key), await send(tenant.key), await send(second.api_key)],
    [200, 200, 429, 429],
  );
});

test("the window slides, rejected requests do not count, and Retry-After is exact", async (t) => {
  const server = await startTestServer(t, { rateLimitPerMinute: 3 });
  const tenant = await createTenant(server.commands);
  const start = server.clock.now;
  const at = async (ms: number) => {
    server.clock.now = start + ms;
    return server.post(SYNC, syncBody(tenant), { "x-api-key": tenant.key });
  };
  assert.equal((await at(0)).status, 200);
  assert.equal((await at(20_000)).status, 200);
  const last = await at(40_000);
  assert.deepEqual(limitOf(last, "sync", server.clock.now), { limit: 3, remaining: 0, resetS: 20 });
  for (let i = 0; i < 10; i++) assertError(await at(41_000 + i), "RATE_LIMIT_EXCEEDED");
  const rejected = await at(59_999);
  assertError(rejected, "RATE_LIMIT_EXCEEDED");
  assert.equal(rejected.headers.get("retry-after"), "1");
  assert.equal((await at(60_000)).status, 200, "the oldest request left the window");
  assertError(await at(60_000), "RATE_LIMIT_EXCEEDED");
  assert.equal((await at(80_000)).status, 200);
  const window = limitOf(await at(200_000), "sync", server.clock.now);
  assert.deepEqual(window, { limit: 3, remaining: 2, resetS: 60 });
});

test("every request to a limited endpoint counts and gets the headers, whatever the status", async (t) => {
  const server = await startTestServer(t, { bodyLimitBytes: 2000 });
  const tenant = await createTenant(server.commands);
  const key = { "x-api-key": tenant.key };
  const foreign = { organization_id: "org_other" };
  const refresh = { sync_mode: "full_refresh", namespaces: ["n"] };
  const old = { ...refresh, sync_timestamp: "2024-01-01T00:00:00Z" };
  const requests: [status: number, body: unknown, headers?: Record<string, string>][] = [
    [200, syncBody(tenant, refresh)],
    [409, syncBody(tenant, old)],
    [400, "{"],
    [400, "not gzip", { "content-encoding": "gzip" }],
    [422, {}],
    [403, syncBody(tenant, foreign)],
    [413, "x".repeat(3000)],
    [415, "", { "content-type": "text/plain" }],
    [415, "{}", { "content-encoding": "br" }],
    [406, "{}", { accept: "text/html" }],
  ];
  let remaining = 100;
  for (const [status, body, headers] of requests) {
    const answer = await server.post(SYNC, body, { ...key, ...headers });
    assert.equal(answer.status, status);
    assert.equal(limitOf(answer, "sync", server.clock.now).remaining, --remaining, `after the ${status}`);
  }
  const check = await server.post(CHECK_EXISTS, question(tenant), key);
  assert.equal(limitOf(check, "check-exists", server.clock.now).remaining, 99);
});

test("requests without a valid key are limited by address, while valid keys still work", async (t) => {
  const server = await startTestServer(t, { failedAuthPerMinute: 5 });
  const tenant = await createTenant(server.commands);
  const start = server.clock.now;
  const stranger = (headers: Record<string, string> = {}, path = SYNC) =>
    server.post(path, syncBody(tenant), headers);
  const good = () => stranger({ "x-api-key": tenant.key });

  const attempts = [{}, { "x-api-key": "nonsense" }, { "x-api-key": `${tenant.key}0` }, {}, {}];
  for (const [i, headers] of attempts.entries()) {
    const answer = await stranger(headers as Record<string, string>, i % 2 ? CHECK_EXISTS : SYNC);
    assertError(answer, "AUTHENTICATION_REQUIRED");
    const window = limitOf(answer, "unauthenticated", server.clock.now);
    assert.deepEqual(window, { limit: 5, remaining: 4 - i, resetS: 60 });
    assert.equal((await good()).status, 200);
  }
  const rejected = await stranger();
  assertError(rejected, "RATE_LIMIT_EXCEEDED");
  assert.equal(rejected.headers.get("retry-after"), "60");
  const management = await server.request("GET", `/v1/organizations/${tenant.organizationId}/connectors`);
  assertError(management, "RATE_LIMIT_EXCEEDED");
  const window = limitOf(await good(), "sync", server.clock.now);
  assert.equal(window.remaining, 94, "invalid keys do not count for the organization");

  server.clock.now = start + 60_000;
  assertError(await stranger(), "AUTHENTICATION_REQUIRED");
});
