import assert from "node:assert/strict";
import { test } from "node:test";
import { syncBody } from "../test-server.ts";
import { assertError, assertFieldError } from "./error-answer.ts";
import { allPages, type Management, startManagement } from "./management.ts";
import { SYNC, upsert } from "./pipeline.ts";

const KEY = /^tdm_c_[0-9A-Za-z]{8}_[0-9A-Za-z]{38,}$/;

/** Returns whether a sync with this key succeeds. */
const works = async ({ server, tenant }: Management, key: string) =>
  (await server.post(SYNC, syncBody(tenant), { "x-api-key": key })).status === 200;

test("a connector is created with a key, read, renamed and deleted, and its records stay", async (t) => {
  const management = await startManagement(t);
  const { server, tenant, call, existing } = management;
  const made = await call("POST", "/connectors", { name: "Airbyte", vector_store_id: tenant.storeId });
  assert.equal(made.status, 201);
  const { api_key, ...connector } = made.body;
  assert.match(api_key, KEY);
  assert.match(connector.id, /^conn_[0-9a-z]{26}$/);
  const now = new Date(server.clock.now).toISOString();
  const shortId = api_key.split("_")[2];
  assert.deepEqual(connector, {
    id: connector.id,
    object: "connector",
    name: "Airbyte",
    organization_id: tenant.organizationId,
    vector_store_id: tenant.storeId,
    keys: [
      {
        id: `key_${shortId}`,
        prefix: `tdm_c_${shortId}`,
        created_at: now,
        last_used_at: null,
        expires_at: null,
        revoked_at: null,
      },
    ],
    created_at: now,
  });
  const read = await call("GET", `/connectors/${connector.id}`);
  assert.deepEqual(read.body, connector, "only the first answer contains the key");
  const renamed = await call("PATCH", `/connectors/${connector.id}`, { name: "Fivetran" });
  assert.deepEqual([renamed.status, renamed.body], [200, { ...connector, name: "Fivetran" }]);
  assert.deepEqual((await call("PATCH", `/connectors/${connector.id}`, {})).body, renamed.body);

  const synced = await server.post(SYNC, syncBody(tenant, { operations: [upsert("a")] }), {
    "x-api-key": api_key,
  });
  assert.equal(synced.status, 200);
  const deleted = await call("DELETE", `/connectors/${connector.id}`);
  assert.deepEqual(deleted.body, { id: connector.id, object: "connector", deleted: true });
  assert.equal(await works(management, api_key), false);
  assert.deepEqual(await existing("tasks", ["a"]), ["a"]);
  for (const [method, path, body] of [
    ["GET", ""],
    ["PATCH", "", { name: "x" }],
    ["DELETE", ""],
    ["POST", "/keys", {}],
    ["DELETE", `/keys/key_${shortId}`],
  ] as const) {
    const answer = await call(method, `/connectors/${connector.id}${path}`, body);
    assert.deepEqual(assertError(answer, "CONNECTOR_NOT_FOUND"), { id: connector.id });
  }
});

test("a second key replaces the first, which is revoked", async (t) => {
  const management = await startManagement(t);
  const { server, tenant, call } = management;
  const path = `/connectors/${tenant.connectorId}`;
  const first = (await call("GET", path)).body.keys[0];
  server.clock.now += 1000;
  const made = await call("POST", `${path}/keys`, {});
  assert.equal(made.status, 201);
  const { api_key, ...second } = made.body;
  assert.match(api_key, KEY);
  assert.deepEqual(Object.keys(second).sort(), Object.keys(first).sort());
  assert.deepEqual([await works(management, tenant.key), await works(management, api_key)], [true, true]);

  const revoked = await call("DELETE", `${path}/keys/${first.id}`);
  assert.equal(revoked.status, 200);
  assert.equal(revoked.body.revoked_at, new Date(server.clock.now).toISOString());
  assert.deepEqual([await works(management, tenant.key), await works(management, api_key)], [false, true]);
  const keys = (await call("GET", path)).body.keys;
  assert.deepEqual(
    keys.map(({ id, revoked_at }: Record<string, string>) => [id, revoked_at !== null]).sort(),
    [
      [first.id, true],
      [second.id, false],
    ].sort(),
  );
  await t.test("revoking a key twice changes nothing", async () => {
    server.clock.now += 1000;
    assert.deepEqual(
      (await call("DELETE", `${path}/keys/${first.id}`)).body.revoked_at,
      revoked.body.revoked_at,
    );
  });
  await t.test("a key of another connector or an unknown key gets a 404", async () => {
    const other = await call("POST", "/connectors", { name: "other", vector_store_id: tenant.storeId });
    const [foreign] = other.body.keys;
    for (const id of ["key_nothing", foreign.id]) {
      assert.deepEqual(assertError(await call("DELETE", `${path}/keys/${id}`), "API_KEY_NOT_FOUND"), { id });
    }
    assert.equal(await works(management, other.body.api_key), true);
  });
});

test("a key works until it expires, to the millisecond", async (t) => {
  const management = await startManagement(t);
  const { server, tenant, call } = management;
  const path = `/connectors/${tenant.connectorId}/keys`;
  const expires_at = new Date(server.clock.now + 10_000).toISOString();
  const made = (await call("POST", path, { expires_at })).body;
  assert.equal(made.expires_at, expires_at);
  assert.equal(await works(management, made.api_key), true);
  server.clock.now += 9_999;
  assert.equal(await works(management, made.api_key), true);
  server.clock.now += 1;
  assert.equal(await works(management, made.api_key), false);
  assert.equal(await works(management, tenant.key), true);

  const now = new Date(server.clock.now);
  for (const [expires, code] of [
    [now.toISOString(), "INVALID_DATE_TIME"],
    [new Date(0).toISOString(), "INVALID_DATE_TIME"],
    ["2030-01-01T00:00:00", "INVALID_DATE_TIME"],
    ["2030-02-30T00:00:00Z", "INVALID_DATE_TIME"],
    ["tomorrow", "INVALID_DATE_TIME"],
    ["", "INVALID_DATE_TIME"],
    [1893456000, "INVALID_TYPE"],
    [null, "INVALID_TYPE"],
  ] as const) {
    assertFieldError(await call("POST", path, { expires_at: expires }), "expires_at", code);
  }
  const keys = (await call("GET", `/connectors/${tenant.connectorId}`)).body.keys;
  assert.equal(keys.length, 2);
});

test("a key shows when it was last used", async (t) => {
  const management = await startManagement(t);
  const { server, tenant } = management;
  server.clock.now += 5000;
  assert.equal(await works(management, tenant.key), true);
  // The server stores the time in the background and when it stops.
  await server.app.close();
  const { keys } = await server.commands.getConnector(tenant.organizationId, tenant.connectorId);
  assert.equal(keys[0]!.last_used_at, new Date(server.clock.now).toISOString());
});

test("adding a key needs no body, and a DELETE may have a content type", async (t) => {
  const management = await startManagement(t);
  const { server, tenant, admin, call } = management;
  const path = `/connectors/${tenant.connectorId}`;
  const added = await call("POST", `${path}/keys`);
  assert.equal(added.status, 201);
  assert.equal(await works(management, added.body.api_key), true);
  const { status } = await server.request("DELETE", `/v1/organizations/${tenant.organizationId}${path}`, {
    headers: { "x-api-key": admin, "content-type": "application/json" },
  });
  assert.equal(status, 200);
});

test("connectors are listed in pages with their keys", async (t) => {
  const management = await startManagement(t);
  const { tenant, call } = management;
  const ids = [tenant.connectorId];
  for (let i = 0; i < 4; i++) {
    const body = { name: `c${i}`, vector_store_id: tenant.storeId };
    ids.push((await call("POST", "/connectors", body)).body.id);
  }
  const pages = await allPages(management, "/connectors", 2);
  assert.deepEqual(
    pages.map(({ data }) => data.length),
    [2, 2, 1],
  );
  const connectors = pages.flatMap(({ data }) => data);
  assert.deepEqual(
    connectors.map(({ id }) => id),
    ids.sort(),
  );
  for (const connector of connectors) {
    assert.deepEqual(connector, (await call("GET", `/connectors/${connector.id}`)).body);
    assert.equal(connector.keys.length, 1);
    assert.equal(JSON.stringify(connector).includes("api_key"), false);
  }
});

test("invalid bodies of connectors are rejected", async (t) => {
  const { tenant, call } = await startManagement(t);
  const vector_store_id = tenant.storeId;
  const bad: [body: unknown, field: string, code: string][] = [
    [{ vector_store_id }, "name", "REQUIRED"],
    [{ name: "x" }, "vector_store_id", "REQUIRED"],
    [{ name: "x", vector_store_id: 5 }, "vector_store_id", "INVALID_TYPE"],
    [{ name: "x", vector_store_id: "store" }, "vector_store_id", "INVALID_FORMAT"],
    [{ name: "", vector_store_id }, "name", "TOO_SHORT"],
    [{ name: "x", vector_store_id, role: "admin" }, "role", "UNKNOWN_FIELD"],
  ];
  for (const [body, field, code] of bad)
    assertFieldError(await call("POST", "/connectors", body), field, code);
  const path = `/connectors/${tenant.connectorId}`;
  assertFieldError(await call("PATCH", path, { vector_store_id }), "vector_store_id", "UNKNOWN_FIELD");
  assertFieldError(await call("POST", `${path}/keys`, { role: "admin" }), "role", "UNKNOWN_FIELD");
  assertFieldError(await call("GET", "/connectors/vs_a"), "connector_id", "INVALID_FORMAT");
  assertError(
    await call("POST", "/connectors", { name: "x", vector_store_id: "vs_nothing" }),
    "VECTOR_STORE_NOT_FOUND",
  );
  assert.equal((await call("GET", "/connectors")).body.data.length, 1);
});
