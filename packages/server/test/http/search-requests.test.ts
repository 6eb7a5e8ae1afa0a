import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createRoleKey, createTenant } from "../test-server.ts";
import { assertError, assertFieldError } from "./error-answer.ts";
import { startSearching } from "./searching.ts";

describe("permission to search", () => {
  test("is given to admins and readers of the organization or the store", async (t) => {
    const { server, tenant, put, index, search } = await startSearching(t);
    await put({ a: { title: "zebra" } });
    await index();
    const { organizationId, storeId } = tenant;
    const keys = [
      await createRoleKey(server.commands, "reader", organizationId),
      await createRoleKey(server.commands, "reader", organizationId, storeId),
      await createRoleKey(server.commands, "admin", organizationId),
    ];
    for (const key of keys) assert.equal((await search("zebra", key)).body.data[0].id, "a");
  });

  test("is denied to connectors, readers of other stores or organizations, and requests without a key", async (t) => {
    const { server, tenant, search } = await startSearching(t);
    const other = await createTenant(server.commands);
    const second = await server.commands.createVectorStore(tenant.organizationId, { name: "Second" }, 0);
    const keys = [
      tenant.key,
      other.key,
      await createRoleKey(server.commands, "reader", tenant.organizationId, second.id),
      await createRoleKey(server.commands, "reader", other.organizationId),
      await createRoleKey(server.commands, "admin", other.organizationId),
    ];
    for (const key of keys) assertError(await search("zebra", key), "INSUFFICIENT_PERMISSIONS");
    for (const key of ["", "tdm_r_wrong"]) assertError(await search("zebra", key), "AUTHENTICATION_REQUIRED");
  });

  test("does not hide that a store of the organization is unknown or deleted", async (t) => {
    const { server, tenant, put, index, reader, search } = await startSearching(t);
    await put({ a: { title: "zebra" } });
    await index();
    const path = `/v1/organizations/${tenant.organizationId}/vector-stores`;
    const at = (store: string) =>
      server.post(`${path}/${store}/search`, { query: "zebra" }, { "x-api-key": reader });
    assertError(await at("vs_unknown"), "VECTOR_STORE_NOT_FOUND");
    const admin = await createRoleKey(server.commands, "admin", tenant.organizationId);
    const { status } = await server.request("DELETE", `${path}/${tenant.storeId}`, {
      headers: { "x-api-key": admin },
    });
    assert.equal(status, 200);
    assertError(await search("zebra"), "VECTOR_STORE_NOT_FOUND");
    const other = await createTenant(server.commands);
    assertError(await at(other.storeId), "VECTOR_STORE_NOT_FOUND");
  });
});

describe("an invalid search", () => {
  test("gets an error that names the field", async (t) => {
    const { search } = await startSearching(t);
    const query = "zebra";
    const cases: [body: Record<string, unknown>, field: string, code: string][] = [
      [{}, "query", "REQUIRED"],
      [{ query: "" }, "query", "TOO_SHORT"],
      [{ query: "x".repeat(4097) }, "query", "TOO_LONG"],
      [{ query: 5 }, "query", "INVALID_TYPE"],
      [{ query, limit: 0 }, "limit", "TOO_SMALL"],
      [{ query, limit: 101 }, "limit", "TOO_LARGE"],
      [{ query, limit: "5" }, "limit", "INVALID_TYPE"],
      [{ query, limit: 1.5 }, "limit", "INVALID_TYPE"],
      [{ query, namespaces: "tasks" }, "namespaces", "INVALID_TYPE"],
      [{ query, namespaces: [""] }, "namespaces[0]", "TOO_SHORT"],
      [{ query, namespaces: Array(101).fill("n") }, "namespaces", "TOO_MANY"],
      [{ query, mode: "fuzzy" }, "mode", "INVALID_VALUE"],
      [{ query, include: ["text"] }, "include[0]", "INVALID_VALUE"],
      [{ query, after_sync: "latest" }, "after_sync", "INVALID_FORMAT"],
      [{ query, timeout_ms: -1 }, "timeout_ms", "TOO_SMALL"],
      [{ query, timeout_ms: 60_001 }, "timeout_ms", "TOO_LARGE"],
      [{ query, top_k: 3 }, "top_k", "UNKNOWN_FIELD"],
      [{ query, filter: [] }, "filter", "INVALID_TYPE"],
      [{ query, filter: { n: { $near: 1 } } }, "filter.n.$near", "UNKNOWN_OPERATOR"],
      [{ query, filter: { $or: [{ n: 1 }, { n: { $gt: null } }] } }, "filter.$or[1].n.$gt", "INVALID_TYPE"],
    ];
    for (const [body, field, code] of cases) assertFieldError(await search(body), field, code);
    assertError(await search({ query: "x\u0000" }), "VALIDATION_ERROR");
  });

  test("is rejected because of its body before the key's permission is checked", async (t) => {
    const { tenant, server, search } = await startSearching(t);
    assertFieldError(await search({ query: "" }, tenant.key), "query", "TOO_SHORT");
    const path = `/v1/organizations/${tenant.organizationId}/vector-stores/${tenant.storeId}/search`;
    const get = await server.request("GET", path, { headers: { "x-api-key": tenant.key } });
    assertError(get, "METHOD_NOT_ALLOWED");
    assertError(await server.post(path, "{", { "x-api-key": tenant.key }), "INVALID_JSON");
  });

  test("gets a 404 for an after_sync that is unknown or of another store", async (t) => {
    const { server, search } = await startSearching(t);
    assertError(await search({ query: "zebra", after_sync: "sync_unknown" }), "RESOURCE_NOT_FOUND");
    const other = await startSearching(t);
    const elsewhere = await other.put({ a: { title: "zebra" } });
    assertError(await search({ query: "zebra", after_sync: elsewhere }), "RESOURCE_NOT_FOUND");
    assert.ok(server.url !== other.server.url);
  });
});

describe("a filter", () => {
  test("selects records with every operator", async (t) => {
    const { put, index, found } = await startSearching(t);
    await put({
      a: { title: "zebra", status: "open", n: 1, tags: ["x", "y"], owner: { name: "Ada" } },
      b: { title: "zebra", status: "open", n: 5, tags: [], owner: { name: "Grace" } },
      c: { title: "zebra", status: "closed", n: 9, tags: ["y"], due: null },
      d: { title: "zebra", status: "stale" },
    });
    await index();
    const cases: [filter: object, expected: string][] = [
      [{}, "abcd"],
      [{ status: "open" }, "ab"],
      [{ status: { $eq: "closed" } }, "c"],
      [{ status: { $ne: "open" } }, "cd"],
      [{ n: { $in: [1, 9, "5"] } }, "ac"],
      [{ n: { $nin: [1, 9] } }, "bd"],
      [{ n: { $gt: 5 } }, "c"],
      [{ n: { $gte: 5 } }, "bc"],
      [{ n: { $lt: 5 } }, "a"],
      [{ n: { $lte: 5 } }, "ab"],
      [{ n: { $gt: 1, $lt: 9 } }, "b"],
      [{ due: { $exists: true } }, "c"],
      [{ n: { $exists: false } }, "d"],
      [{ n: { $not: { $gt: 1 } } }, "ad"],
      [{ tags: "y" }, "ac"],
      [{ "owner.name": { $in: ["Ada", "Alan"] } }, "a"],
      [{ $and: [{ status: "open" }, { n: 5 }] }, "b"],
      [{ $or: [{ status: "closed" }, { "owner.name": "Grace" }] }, "bc"],
      [{ $not: { status: "open" } }, "cd"],
      [{ status: "open", n: { $gt: 1 } }, "b"],
    ];
    for (const [filter, expected] of cases) {
      const ids = await found({ query: "zebra", filter });
      assert.equal(ids.sort().join(""), expected, JSON.stringify(filter));
    }
  });

  test("applies before the limit, so that a selective filter still fills the answer", async (t) => {
    const { put, index, found } = await startSearching(t);
    const records = Array.from({ length: 1500 }, (_, n) => [`r${n}`, { title: "zebra", n }] as const);
    await put(Object.fromEntries(records));
    await index();
    const rare = { $in: [3, 500, 999, 1111, 1499] };
    assert.equal((await found({ query: "zebra", filter: { n: rare } })).length, 5);
    assert.equal((await found({ query: "zebra", filter: { n: { $gte: 1400 } }, limit: 100 })).length, 100);
    assert.equal((await found({ query: "zebra", filter: { n: { $gte: 1500 } } })).length, 0);
  });

  test("tests the present data of a record that is found by its old text", async (t) => {
    const { put, index, found } = await startSearching(t);
    await put({ a: { title: "zebra", status: "open" } });
    await index();
    await put({ a: { title: "zebra", status: "closed" } });
    assert.deepEqual(await found({ query: "zebra", filter: { status: "open" } }), []);
    assert.deepEqual(await found({ query: "zebra", filter: { status: "closed" } }), ["a"]);
  });
});
