import assert from "node:assert/strict";
import { test } from "node:test";
import { crc32 } from "node:zlib";
import { makeKey } from "../../src/access/key-format.ts";
import { type Answer, createRoleKey, createTenant, syncBody } from "../test-server.ts";
import { assertError, comparable } from "./error-answer.ts";
import { CHECK_EXISTS, SYNC, startPipeline, upsert } from "./pipeline.ts";

// The exact bodies of the contract.
const AUTHENTICATION_REQUIRED = {
  code: "AUTHENTICATION_REQUIRED",
  message: "Authentication required. Please provide a valid API key.",
  system_message: "Missing or invalid authorization header",
  type: "authentication_error",
  status: 401,
  details: {},
};
const INSUFFICIENT_PERMISSIONS = {
  code: "INSUFFICIENT_PERMISSIONS",
  message: "You do not have permission to access this resource.",
  system_message: "Insufficient permissions for this operation",
  type: "authorization_error",
  status: 403,
  details: {},
};

function assertIs(answer: Answer, expected: { code: string; status: number }): void {
  assertError(answer, expected.code);
  assert.deepEqual(comparable(answer), { status: expected.status, error: expected });
}

test("every key that does not work gets the same answer, word for word", async (t) => {
  const { server, tenant } = await startPipeline(t);
  const { commands, clock } = server;
  const admin = await createRoleKey(commands, "admin", tenant.organizationId);
  const connector = `/v1/organizations/${tenant.organizationId}/connectors/${tenant.connectorId}`;
  const newKey = async (body: object) =>
    (await server.post(`${connector}/keys`, body, { "x-api-key": admin })).body;

  const revoked = await newKey({});
  await server.request("DELETE", `${connector}/keys/${revoked.id}`, { headers: { "x-api-key": admin } });
  const expired = await newKey({ expires_at: new Date(clock.now + 60_000).toISOString() });
  assert.equal((await server.post(SYNC, syncBody(tenant), { "x-api-key": expired.api_key })).status, 200);
  clock.now += 60_000;

  const { key } = tenant;
  const keys: Record<string, string | undefined> = {
    "no key": undefined,
    "an empty key": "",
    "a word that is not a key": "secret",
    "a key without its last character": key.slice(0, -1),
    "a key with an extra character": `${key}0`,
    "a wrong checksum": key.slice(0, -1) + (key.endsWith("0") ? "1" : "0"),
    "a key in upper case": key.toUpperCase(),
    "a bearer prefix": `Bearer ${key}`,
    "two keys": `${key}, ${key}`,
    "an unknown key": makeKey("connector"),
    "an unknown key with a known short id": withShortIdOf(key),
    "the key of another role": key.replace("tdm_c_", "tdm_a_"),
    "a revoked key": revoked.api_key,
    "an expired key": expired.api_key,
  };
  const paths: [method: string, path: string][] = [
    ["POST", SYNC],
    ["POST", "/v1/connectors/pipeline/sync"],
    ["POST", CHECK_EXISTS],
    [
      "GET",
      `/v1/pipeline/health/validate?organization_id=${tenant.organizationId}&vector_store_id=${tenant.storeId}`,
    ],
    ["GET", `/v1/organizations/${tenant.organizationId}/vector-stores`],
    ["DELETE", `/v1/organizations/${tenant.organizationId}/vector-stores/${tenant.storeId}`],
  ];
  for (const [name, candidate] of Object.entries(keys)) {
    await t.test(name, async () => {
      const headers: Record<string, string> = candidate === undefined ? {} : { "x-api-key": candidate };
      for (const [method, path] of paths) {
        const body = method === "POST" ? { body: syncBody(tenant) } : {};
        assertIs(await server.request(method, path, { headers, ...body }), AUTHENTICATION_REQUIRED);
      }
    });
  }
  await t.test("a valid key outside X-API-Key", async () => {
    const answer = await server.post(`${SYNC}?api_key=${key}`, syncBody(tenant), {
      authorization: `Bearer ${key}`,
    });
    assertIs(answer, AUTHENTICATION_REQUIRED);
  });
  await t.test("the valid key still works", async () => {
    assert.equal((await server.post(SYNC, syncBody(tenant), { "x-api-key": key })).status, 200);
  });
});

test("organizations and stores outside the key's access get the same answer, whether they exist or not", async (t) => {
  const { server, tenant, state } = await startPipeline(t);
  const { commands } = server;
  const other = await createTenant(commands);
  const sibling = await commands.createVectorStore(tenant.organizationId, { name: "sibling" }, Date.now());
  const gone = await commands.createVectorStore(tenant.organizationId, { name: "deleted" }, Date.now());
  await commands.deleteVectorStore(tenant.organizationId, gone.id, Date.now());
  const before = await state();

  const targets: Record<string, [organizationId: string, storeId: string]> = {
    "another organization and its store": [other.organizationId, other.storeId],
    "another organization and the key's store": [other.organizationId, tenant.storeId],
    "the key's organization and a store of another": [tenant.organizationId, other.storeId],
    "another store of the key's organization": [tenant.organizationId, sibling.id],
    "a deleted store of the key's organization": [tenant.organizationId, gone.id],
    "a store that never existed": [tenant.organizationId, "vs_nothing"],
    "an organization that never existed": ["org_nothing", tenant.storeId],
    "an organization and a store that never existed": ["org_nothing", "vs_nothing"],
    "the key's ids in another case": [
      tenant.organizationId.toUpperCase().replace("ORG", "org"),
      tenant.storeId,
    ],
    "the key's ids with a trailing space": [`${tenant.organizationId} `, `${tenant.storeId} `],
  };
  for (const [name, [organization_id, vector_store_id]] of Object.entries(targets)) {
    await t.test(name, async () => {
      const ids = { organization_id, vector_store_id };
      const headers = { "x-api-key": tenant.key };
      const body = syncBody(tenant, { ...ids, operations: [upsert("a")] });
      assertIs(await server.post(SYNC, body, headers), INSUFFICIENT_PERMISSIONS);
      const question = { ...ids, namespace: "tasks", ids: ["a"] };
      assertIs(await server.post(CHECK_EXISTS, question, headers), INSUFFICIENT_PERMISSIONS);
    });
  }
  const otherState = await server.post(
    CHECK_EXISTS,
    { organization_id: other.organizationId, vector_store_id: other.storeId, namespace: "tasks", ids: ["a"] },
    { "x-api-key": other.key },
  );
  assert.deepEqual(otherState.body.existing_ids, []);
  assert.deepEqual(await state(), before);
});

test("a key of the wrong role gets the same answer", async (t) => {
  const { server, tenant, state } = await startPipeline(t);
  const { organizationId, storeId } = tenant;
  const before = await state();
  const roles: Record<string, string> = {
    reader: await createRoleKey(server.commands, "reader", organizationId),
    "reader of the store": await createRoleKey(server.commands, "reader", organizationId, storeId),
    admin: await createRoleKey(server.commands, "admin", organizationId),
  };
  for (const [name, key] of Object.entries(roles)) {
    await t.test(`${name} on sync and check-exists`, async () => {
      for (const path of [SYNC, "/v1/connectors/pipeline/sync"]) {
        const body = syncBody(tenant, { operations: [upsert("a")] });
        assertIs(await server.post(path, body, { "x-api-key": key }), INSUFFICIENT_PERMISSIONS);
      }
      const question = { organization_id: organizationId, vector_store_id: storeId, namespace: "n", ids: [] };
      assertIs(await server.post(CHECK_EXISTS, question, { "x-api-key": key }), INSUFFICIENT_PERMISSIONS);
    });
  }
  await t.test("a connector and readers on management routes that need an admin", async () => {
    const base = `/v1/organizations/${organizationId}`;
    const requests: [method: string, path: string, body?: object][] = [
      ["POST", `${base}/vector-stores`, { name: "x" }],
      ["PATCH", `${base}/vector-stores/${storeId}`, { name: "x" }],
      ["DELETE", `${base}/vector-stores/${storeId}`],
      ["POST", `${base}/connectors`, { name: "x", vector_store_id: storeId }],
      ["GET", `${base}/connectors`],
      ["GET", `${base}/connectors/${tenant.connectorId}`],
      ["PATCH", `${base}/connectors/${tenant.connectorId}`, { name: "x" }],
      ["DELETE", `${base}/connectors/${tenant.connectorId}`],
      ["POST", `${base}/connectors/${tenant.connectorId}/keys`, {}],
      ["DELETE", `${base}/connectors/${tenant.connectorId}/keys/key_x`],
    ];
    for (const [method, path, body] of requests) {
      for (const key of [tenant.key, roles.reader!, roles["reader of the store"]!]) {
        const answer = await server.request(method, path, { body, headers: { "x-api-key": key } });
        assertIs(answer, INSUFFICIENT_PERMISSIONS);
      }
    }
    const store = await server.commands.getVectorStore(organizationId, storeId);
    assert.equal(store.name, "Test store");
  });
  assert.deepEqual(await state(), before);
  assert.equal((await server.post(SYNC, syncBody(tenant), { "x-api-key": tenant.key })).status, 200);
});

/** Returns a key with this key's short id, another secret and a correct checksum. */
function withShortIdOf(key: string): string {
  const body = key.slice(0, "tdm_c_12345678_".length) + makeKey("connector").slice(15, -6);
  const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
  let rest = crc32(body);
  let checksum = "";
  while (checksum.length < 6) {
    checksum = alphabet[rest % 62] + checksum;
    rest = Math.floor(rest / 62);
  }
  return body + checksum;
}
