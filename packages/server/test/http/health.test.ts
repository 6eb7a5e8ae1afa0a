import assert from "node:assert/strict";
import { test } from "node:test";
import { createRoleKey, createTenant, startTestServer } from "../test-server.ts";
import { assertError, assertFieldError, comparable } from "./error-answer.ts";
import { CHECK_EXISTS, SYNC, startPipeline, upsert } from "./pipeline.ts";

const PREFIXES = ["/v1/pipeline", "/v1/connectors/pipeline"];
const CHECKS = ["api_key", "organization", "vector_store_record", "vector_store", "index"];

test("health needs no key and names its components", async (t) => {
  const { server } = await startPipeline(t);
  for (const prefix of PREFIXES) {
    for (const headers of [{}, { "x-api-key": "nonsense" }] as Record<string, string>[]) {
      const { status, body } = await server.request("GET", `${prefix}/health`, { headers });
      assert.equal(status, 200);
      assert.deepEqual(Object.keys(body).sort(), ["components", "status", "timestamp", "version"]);
      assert.equal(body.status, "healthy");
      assert.deepEqual(
        body.components.map(({ name, status }: Record<string, string>) => ({ name, status })),
        [
          { name: "database", status: "healthy" },
          { name: "index", status: "healthy" },
        ],
      );
      assert.equal(typeof body.components[0].details, "object");
      assert.match(body.version, /^\d+\.\d+\.\d+/);
      assert.equal(body.timestamp, new Date(server.clock.now).toISOString());
    }
  }
});

test("validate checks the key, the organization and the store", async (t) => {
  const { server, tenant } = await startPipeline(t);
  const { organizationId, storeId, key } = tenant;
  const other = await createTenant(server.commands);
  const sibling = await server.commands.createVectorStore(organizationId, { name: "Sibling" }, Date.now());
  const validate = (organization_id: string, vector_store_id: string, apiKey = key, prefix = PREFIXES[0]) =>
    server.request(
      "GET",
      `${prefix}/health/validate?${new URLSearchParams({ organization_id, vector_store_id })}`,
      { headers: { "x-api-key": apiKey } },
    );
  /** Returns the names of the failed checks, and asserts the fields of every check. */
  const failed = (answer: Awaited<ReturnType<typeof validate>>) => {
    const { checks } = assertError(answer, "VALIDATION_FAILED");
    assert.deepEqual(Object.keys(checks), CHECKS);
    for (const check of Object.values<Record<string, unknown>>(checks)) {
      const { valid, message, error } = check;
      assert.equal(typeof (valid ? message : error), "string");
      assert.equal(valid ? error : message, undefined);
    }
    return CHECKS.filter((name) => !checks[name].valid);
  };

  await t.test("on both prefixes", async () => {
    for (const prefix of PREFIXES) {
      const { status, body } = await validate(organizationId, storeId, key, prefix);
      assert.equal(status, 200);
      assert.deepEqual(Object.keys(body).sort(), ["checks", "status", "timestamp"]);
      assert.equal(body.status, "valid");
      assert.deepEqual(Object.keys(body.checks), CHECKS);
      for (const name of CHECKS) {
        assert.equal(body.checks[name].valid, true);
        assert.match(body.checks[name].message, /\S/);
      }
      assert.equal(body.checks.vector_store_record.vector_store_name, "Test store");
      assert.equal(body.timestamp, new Date(server.clock.now).toISOString());
    }
  });
  await t.test("an organization outside the key's access, existing or not", async () => {
    const answers = [
      await validate(other.organizationId, other.storeId),
      await validate(other.organizationId, storeId),
      await validate("org_nothing", storeId),
      await validate("org_nothing", "vs_nothing"),
    ];
    for (const answer of answers) {
      assert.deepEqual(failed(answer), ["organization", "vector_store_record", "vector_store", "index"]);
      assert.deepEqual(comparable(answer), comparable(answers[0]!));
    }
  });
  await t.test("a store outside the key's access, existing or not", async () => {
    const answers = [
      await validate(organizationId, sibling.id),
      await validate(organizationId, other.storeId),
      await validate(organizationId, "vs_nothing"),
    ];
    for (const answer of answers) {
      assert.deepEqual(failed(answer), ["vector_store_record", "vector_store", "index"]);
      assert.deepEqual(comparable(answer), comparable(answers[0]!));
    }
  });
  await t.test("keys of other roles", async () => {
    const admin = await createRoleKey(server.commands, "admin", organizationId);
    assert.ok(failed(await validate(organizationId, storeId, admin)).includes("api_key"));
    const reader = await createRoleKey(server.commands, "reader", organizationId, storeId);
    assert.deepEqual(failed(await validate(organizationId, storeId, reader)), ["api_key"]);
  });
  await t.test("a missing or invalid key", async () => {
    assertError(await validate(organizationId, storeId, ""), "AUTHENTICATION_REQUIRED");
    assertError(await validate(organizationId, storeId, `${key}0`), "AUTHENTICATION_REQUIRED");
  });
  await t.test("missing, unknown, repeated or malformed parameters", async () => {
    const path = "/v1/pipeline/health/validate";
    const ask = (query: string) =>
      server.request("GET", `${path}?${query}`, { headers: { "x-api-key": key } });
    const both = `organization_id=${organizationId}&vector_store_id=${storeId}`;
    assertFieldError(await ask(""), "organization_id", "REQUIRED");
    assertFieldError(await ask(`organization_id=${organizationId}`), "vector_store_id", "REQUIRED");
    assertFieldError(await ask(`${both}&x=1`), "x", "UNKNOWN_FIELD");
    assertFieldError(await ask(`${both}&vector_store_id=${storeId}`), "vector_store_id", "INVALID_TYPE");
    assertFieldError(
      await ask("organization_id=5&vector_store_id=vs_a"),
      "organization_id",
      "INVALID_FORMAT",
    );
  });
});

test("probes need no key", async (t) => {
  const { server } = await startPipeline(t);
  for (const path of ["/livez", "/readyz"]) {
    const { status, body } = await server.request("GET", path);
    assert.deepEqual([status, body], [200, { status: "ok" }]);
  }
});

test("HEAD answers like GET without a body", async (t) => {
  const { server, tenant, headers } = await startPipeline(t);
  const admin = await createRoleKey(server.commands, "admin", tenant.organizationId);
  const stores = `/v1/organizations/${tenant.organizationId}/vector-stores`;
  for (const [path, status, key] of [
    ["/livez", 200, ""],
    ["/v1/pipeline/health", 200, ""],
    ["/docs/json", 200, ""],
    [stores, 200, admin],
    [stores, 403, headers["x-api-key"]!],
    [stores, 401, ""],
    ["/nowhere", 404, ""],
    [SYNC, 405, ""],
  ] as const) {
    const response = await fetch(server.url + path, { method: "HEAD", headers: { "x-api-key": key } });
    assert.equal(response.status, status, path);
    assert.match(response.headers.get("x-request-id")!, /^req_/);
    assert.equal(await response.text(), "");
  }
});

test("every answer has its own request id, even if the caller sends one", async (t) => {
  const { server } = await startPipeline(t);
  const ids = new Set<string>();
  for (const path of ["/livez", "/livez", "/nowhere", "/docs/json", "/metrics"]) {
    const response = await fetch(server.url + path, {
      headers: { "x-request-id": "req_mine", "request-id": "req_mine" },
    });
    await response.text();
    ids.add(response.headers.get("x-request-id")!);
  }
  assert.equal(ids.size, 5);
  for (const id of ids) assert.match(id, /^req_[\w-]{16}$/);
});

test("metrics count requests, operations, records and database time, and reveal no key", async (t) => {
  const { server, tenant, sync, checkExists } = await startPipeline(t);
  const sample = async () => {
    const response = await fetch(`${server.url}/metrics`);
    assert.match(response.headers.get("content-type")!, /^text\/plain/);
    const text = await response.text();
    return { text, value: (line: string) => Number(text.match(new RegExp(`^${line} (\\S+)$`, "m"))?.[1]) };
  };
  await sync({ operations: [upsert("a"), upsert("b"), upsert("b"), { ...upsert("x"), action: "delete" }] });
  await sync({ operations: [upsert("a")], sync_timestamp: "2024-01-01T00:00:00Z" });
  await sync({ operations: [upsert("c", { data: "wrong" })] });
  await checkExists({ ids: ["a"] });

  const { text, value } = await sample();
  const route = (path: string, status: number) =>
    `tidemark_http_request_duration_seconds_count\\{method="POST",route="${path}",status="${status}"\\}`;
  assert.equal(value(route(SYNC, 200)), 2);
  assert.equal(value(route(SYNC, 422)), 1);
  assert.equal(value(route(CHECK_EXISTS, 200)), 1);
  const outcome = (name: string) => value(`tidemark_sync_operations_total\\{outcome="${name}"\\}`);
  assert.deepEqual(["created", "superseded", "absent", "stale"].map(outcome), [2, 1, 1, 1]);
  assert.equal(value("tidemark_records"), 2);
  assert.equal(value('tidemark_database_duration_seconds_count\\{command="sync"\\}'), 2);
  assert.equal(value('tidemark_database_duration_seconds_count\\{command="check-exists"\\}'), 1);
  assert.equal(value("tidemark_bytes_in_flight"), 0);
  assert.match(text, /^process_cpu_seconds_total /m);
  for (const secret of [tenant.key, tenant.key.slice(6, 14), tenant.organizationId]) {
    assert.ok(!text.includes(secret));
  }
});

test("metrics with their own port are not served on the main port", async (t) => {
  const server = await startTestServer(t, { metricsPort: 1 });
  assertError(await server.request("GET", "/metrics"), "RESOURCE_NOT_FOUND");
  const metricsServer = server.app.metricsServer!;
  const metrics = await metricsServer.inject("/metrics");
  assert.equal(metrics.statusCode, 200);
  assert.match(metrics.body, /^tidemark_records 0$/m);
  const nothing = await metricsServer.inject(SYNC);
  assert.equal(nothing.statusCode, 404);
  assert.equal(nothing.json().error.trace_id, nothing.headers["x-request-id"]);
});
