import assert from "node:assert/strict";
import { test } from "node:test";
import { createRoleKey } from "../test-server.ts";
import { assertError, assertFieldError } from "./error-answer.ts";
import { allPages, startManagement } from "./management.ts";
import { upsert } from "./pipeline.ts";

test("a vector store is created, read, changed and deleted", async (t) => {
  const { server, tenant, call } = await startManagement(t);
  const made = await call("POST", "/vector-stores", { name: "Docs 📚", description: "What we know" });
  assert.equal(made.status, 201);
  const { id } = made.body;
  assert.match(id, /^vs_[0-9a-z]{26}$/);
  const now = new Date(server.clock.now).toISOString();
  const store = {
    id,
    object: "vector_store",
    name: "Docs 📚",
    description: "What we know",
    organization_id: tenant.organizationId,
    record_count: 0,
    status: "active",
    settings: {},
    created_at: now,
    updated_at: now,
  };
  assert.deepEqual(made.body, store);
  assert.deepEqual((await call("GET", `/vector-stores/${id}`)).body, store);

  server.clock.now += 1000;
  const updated_at = new Date(server.clock.now).toISOString();
  const renamed = await call("PATCH", `/vector-stores/${id}`, { name: "Handbook" });
  assert.deepEqual([renamed.status, renamed.body], [200, { ...store, name: "Handbook", updated_at }]);
  const undescribed = await call("PATCH", `/vector-stores/${id}`, { description: null });
  assert.deepEqual(undescribed.body, { ...store, name: "Handbook", description: null, updated_at });
  const untouched = await call("PATCH", `/vector-stores/${id}`, {});
  assert.deepEqual(untouched.body, undescribed.body);

  const deleted = await call("DELETE", `/vector-stores/${id}`);
  assert.deepEqual([deleted.status, deleted.body], [200, { id, object: "vector_store", deleted: true }]);
  for (const [method, body] of [["GET"], ["PATCH", { name: "x" }], ["DELETE"]] as const) {
    const answer = await call(method, `/vector-stores/${id}`, body);
    assert.deepEqual(assertError(answer, "VECTOR_STORE_NOT_FOUND"), { id });
  }
  const { data } = (await call("GET", "/vector-stores")).body;
  assert.deepEqual(
    data.map((store: { id: string }) => store.id),
    [tenant.storeId],
  );
});

test("a store counts its records", async (t) => {
  const { tenant, call, sync } = await startManagement(t);
  const count = async () => (await call("GET", `/vector-stores/${tenant.storeId}`)).body.record_count;
  await sync({ operations: [upsert("a"), upsert("b"), upsert("c", { namespace: "other" })] });
  assert.equal(await count(), 3);
  await sync({ operations: [{ ...upsert("a"), action: "delete" }] });
  assert.equal(await count(), 2);
  await sync({ sync_mode: "full_refresh", sync_timestamp: "2025-11-11T11:00:00Z", namespaces: ["other"] });
  assert.equal(await count(), 1);
});

test("a deleted store is gone immediately, with its connectors, their keys and its records", async (t) => {
  const { server, tenant, call, sync, checkExists } = await startManagement(t);
  const reader = await createRoleKey(server.commands, "reader", tenant.organizationId, tenant.storeId);
  await sync({ operations: [upsert("a")] });
  const path = `/vector-stores/${tenant.storeId}`;
  assert.equal((await call("GET", path, undefined, reader)).status, 200);
  assert.equal((await call("DELETE", path)).status, 200);

  assertError(await sync({ operations: [upsert("b")] }), "AUTHENTICATION_REQUIRED");
  assertError(await checkExists({ ids: ["a"] }), "AUTHENTICATION_REQUIRED");
  assertError(await call("GET", path, undefined, reader), "AUTHENTICATION_REQUIRED");
  assertError(await call("GET", path), "VECTOR_STORE_NOT_FOUND");
  assertError(await call("GET", `/connectors/${tenant.connectorId}`), "CONNECTOR_NOT_FOUND");
  assertError(await call("POST", `/connectors/${tenant.connectorId}/keys`, {}), "CONNECTOR_NOT_FOUND");
  assert.deepEqual((await call("GET", "/connectors")).body.data, []);
  const late = await call("POST", "/connectors", { name: "late", vector_store_id: tenant.storeId });
  assertError(late, "VECTOR_STORE_NOT_FOUND");

  while (await server.commands.runMaintenance());
  assert.equal(await server.commands.countRecords(), 0);
  for (const table of ["records", "contents", "namespaces"]) {
    const rows = await server.storage.read((sql) =>
      sql.all(`SELECT * FROM ${table} WHERE store_id = $1`, [tenant.storeId]),
    );
    assert.deepEqual(rows, [], table);
  }
});

test("the pages of a list have no gaps or repeats", async (t) => {
  const management = await startManagement(t);
  const { tenant, call } = management;
  const ids = [tenant.storeId];
  for (let i = 0; i < 6; i++) ids.push((await call("POST", "/vector-stores", { name: `s${i}` })).body.id);
  ids.sort();
  for (const limit of [1, 3, 7, 100]) {
    await t.test(`pages of ${limit}`, async () => {
      const pages = await allPages(management, "/vector-stores", limit);
      assert.equal(pages.length, Math.ceil(7 / limit));
      for (const [i, page] of pages.entries()) {
        const last = i === pages.length - 1;
        assert.deepEqual(Object.keys(page).sort(), ["data", "has_more", "next_cursor", "object"]);
        assert.equal(page.object, "list");
        assert.deepEqual([page.has_more, page.next_cursor === null], [!last, last]);
        assert.ok(page.data.length <= limit);
      }
      assert.deepEqual(
        pages.flatMap(({ data }) => data.map(({ id }: { id: string }) => id)),
        ids,
      );
    });
  }
  await t.test(
    "a page starts after the previous one, even if that page's last store was deleted",
    async () => {
      const first = (await call("GET", "/vector-stores?limit=3")).body;
      await call("DELETE", `/vector-stores/${ids[2]}`);
      await call("DELETE", `/vector-stores/${ids[3]}`);
      const second = (await call("GET", `/vector-stores?limit=100&cursor=${first.next_cursor}`)).body;
      assert.deepEqual(
        second.data.map(({ id }: { id: string }) => id),
        ids.slice(4),
      );
    },
  );
  await t.test("pages of 20 by default", async () => {
    for (let i = 0; i < 20; i++) await call("POST", "/vector-stores", { name: `t${i}` });
    const { data, has_more } = (await call("GET", "/vector-stores")).body;
    assert.deepEqual([data.length, has_more], [20, true]);
  });
});

test("invalid page parameters get a 422", async (t) => {
  const { call } = await startManagement(t);
  const bad: [query: string, field: string, code: string][] = [
    ["limit=0", "limit", "TOO_SMALL"],
    ["limit=-1", "limit", "TOO_SMALL"],
    ["limit=101", "limit", "TOO_LARGE"],
    ["limit=ten", "limit", "INVALID_TYPE"],
    ["limit=1.5", "limit", "INVALID_TYPE"],
    ["limit=1e1", "limit", "INVALID_TYPE"],
    ["limit=", "limit", "INVALID_TYPE"],
    ["limit=1&limit=2", "limit", "INVALID_TYPE"],
    ["limit=99999999999999999999", "limit", "INVALID_TYPE"],
    ["cursor=", "cursor", "INVALID_CURSOR"],
    ["cursor=nonsense", "cursor", "INVALID_CURSOR"],
    ["cursor=%00%ff", "cursor", "INVALID_CURSOR"],
    ["cursor=a&cursor=b", "cursor", "INVALID_TYPE"],
    ["page=2", "page", "UNKNOWN_FIELD"],
    ["__proto__=2", "__proto__", "UNKNOWN_FIELD"],
  ];
  for (const [query, field, code] of bad) {
    for (const path of ["/vector-stores", "/connectors"]) {
      await t.test(`${path}?${query}`, async () => {
        assertFieldError(await call("GET", `${path}?${query}`), field, code);
      });
    }
  }
});

test("invalid bodies of stores are rejected", async (t) => {
  const { tenant, call } = await startManagement(t);
  const path = `/vector-stores/${tenant.storeId}`;
  const before = (await call("GET", path)).body;
  const bad: [body: unknown, field: string, code: string][] = [
    [{ name: "" }, "name", "TOO_SHORT"],
    [{ name: "x".repeat(256) }, "name", "TOO_LONG"],
    [{ name: 5 }, "name", "INVALID_TYPE"],
    [{ name: null }, "name", "INVALID_TYPE"],
    [{ name: "x", description: 5 }, "description", "INVALID_TYPE"],
    [{ name: "x", description: "d".repeat(4097) }, "description", "TOO_LONG"],
    [{ name: "x", id: "vs_mine" }, "id", "UNKNOWN_FIELD"],
    [{ name: "x", settings: null }, "settings", "INVALID_TYPE"],
    [{ name: "x", settings: [] }, "settings", "INVALID_TYPE"],
    ['{"name":"x","__proto__":{}}', "__proto__", "UNKNOWN_FIELD"],
    [String.raw`{"name":"\ud800"}`, "name", "INVALID_TEXT"],
    [String.raw`{"name":"a\u0000"}`, "name", "INVALID_TEXT"],
    ['{"name":1e400}', "name", "INEXACT_NUMBER"],
    ["null", "body", "INVALID_TYPE"],
    ["[]", "body", "INVALID_TYPE"],
    ['"name"', "body", "INVALID_TYPE"],
  ];
  for (const [body, field, code] of bad) {
    await t.test(`${code} of ${field}: ${JSON.stringify(body).slice(0, 50)}`, async () => {
      assertFieldError(await call("POST", "/vector-stores", body), field, code);
      assertFieldError(await call("PATCH", path, body), field, code);
    });
  }
  assertFieldError(await call("POST", "/vector-stores"), "name", "REQUIRED");
  assertFieldError(await call("POST", "/vector-stores", {}), "name", "REQUIRED");
  assert.deepEqual((await call("GET", path)).body, before);
  assert.equal((await call("GET", "/vector-stores")).body.data.length, 1);
});

test("a change of settings replaces only the named ones, and null resets a setting", async (t) => {
  const { server, call } = await startManagement(t);
  const settings = {
    text_fields: ["title", "author.name", "größe"],
    title_field: "title",
    metadata_fields: [],
    chunk_tokens: 100,
    chunk_overlap: 49,
    language: "german",
  };
  const made = await call("POST", "/vector-stores", { name: "x", settings });
  assert.deepEqual([made.status, made.body.settings], [201, settings]);
  const path = `/vector-stores/${made.body.id}`;
  const listed = (await call("GET", "/vector-stores")).body.data;
  assert.deepEqual(listed.find(({ id }: { id: string }) => id === made.body.id).settings, settings);

  const change = async (changes: object) => {
    server.clock.now += 1000;
    const changed = await call("PATCH", path, changes);
    assert.equal(changed.status, 200, JSON.stringify(changed.body));
    const { body } = await call("GET", path);
    assert.deepEqual(body, changed.body);
    assert.equal(body.updated_at, new Date(server.clock.now).toISOString());
    return body.settings;
  };
  const changed = { ...settings, chunk_tokens: 2000, text_fields: ["body"] };
  const changes = { chunk_tokens: 2000, text_fields: ["body"] };
  assert.deepEqual(await change({ settings: changes }), changed);
  assert.deepEqual(await change({ settings: {} }), changed);
  assert.deepEqual(await change({ name: "y", description: null }), changed);
  const { text_fields, chunk_overlap, ...left } = changed;
  assert.deepEqual(await change({ settings: { text_fields: null, chunk_overlap: null } }), left);
  const none = Object.fromEntries(Object.keys(settings).map((name) => [name, null]));
  assert.deepEqual(await change({ settings: none }), {});
  assert.deepEqual((await call("POST", "/vector-stores", { name: "z", settings: none })).body.settings, {});
});

test("invalid settings get a 422 that names the field, and change nothing", async (t) => {
  const { tenant, call } = await startManagement(t);
  const path = `/vector-stores/${tenant.storeId}`;
  const before = (await call("PATCH", path, { settings: { chunk_tokens: 200, chunk_overlap: 60 } })).body;
  const bad: [settings: object, field: string, code: string][] = [
    [{ chunk_tokens: 31 }, "chunk_tokens", "TOO_SMALL"],
    [{ chunk_tokens: 2001 }, "chunk_tokens", "TOO_LARGE"],
    [{ chunk_tokens: 64.5 }, "chunk_tokens", "INVALID_TYPE"],
    [{ chunk_tokens: "300" }, "chunk_tokens", "INVALID_TYPE"],
    [{ chunk_overlap: -1 }, "chunk_overlap", "TOO_SMALL"],
    [{ chunk_tokens: 100, chunk_overlap: 50 }, "chunk_overlap", "TOO_LARGE"],
    [{ chunk_overlap: 150, chunk_tokens: null }, "chunk_overlap", "TOO_LARGE"],
    [{ language: "klingon" }, "language", "INVALID_VALUE"],
    [{ language: "English" }, "language", "INVALID_VALUE"],
    [{ language: ["english"] }, "language", "INVALID_VALUE"],
    [{ title_field: "" }, "title_field", "TOO_SHORT"],
    [{ title_field: ["title"] }, "title_field", "INVALID_TYPE"],
    [{ title_field: "t".repeat(256) }, "title_field", "TOO_LONG"],
    [{ text_fields: "title" }, "text_fields", "INVALID_TYPE"],
    [{ text_fields: ["title", 5] }, "text_fields[1]", "INVALID_TYPE"],
    [{ text_fields: ["title", ""] }, "text_fields[1]", "TOO_SHORT"],
    [{ metadata_fields: ["📚".repeat(256)] }, "metadata_fields[0]", "TOO_LONG"],
    [{ metadata_fields: Array(101).fill("x") }, "metadata_fields", "TOO_MANY"],
    [{ model: "ours" }, "model", "UNKNOWN_FIELD"],
  ];
  for (const [settings, member, code] of bad) {
    const field = `settings.${member}`;
    await t.test(`${code} of ${field}`, async () => {
      for (const answer of [
        await call("POST", "/vector-stores", { name: "x", settings }),
        await call("PATCH", path, { settings }),
      ]) {
        assertFieldError(answer, field, code);
        assert.equal(answer.body.error.details.total_errors, 1, "each mistake is one error");
      }
    });
  }
  await t.test("settings that conflict with existing ones", async () => {
    const tokens = await call("PATCH", path, { settings: { chunk_tokens: 120 } });
    assertFieldError(tokens, "settings.chunk_tokens", "TOO_SMALL");
    const overlap = await call("PATCH", path, { settings: { chunk_overlap: 100 } });
    assertFieldError(overlap, "settings.chunk_overlap", "TOO_LARGE");
  });
  assert.deepEqual((await call("GET", path)).body, before);
  const largest = { metadata_fields: ["📚".repeat(255)], text_fields: Array(100).fill("x") };
  assert.equal((await call("PATCH", path, { settings: largest })).status, 200);
});

test("a reader of one store sees only that store, a reader of the organization sees all", async (t) => {
  const { server, tenant, call } = await startManagement(t);
  const other = (await call("POST", "/vector-stores", { name: "other" })).body.id;
  const tied = await createRoleKey(server.commands, "reader", tenant.organizationId, tenant.storeId);
  const free = await createRoleKey(server.commands, "reader", tenant.organizationId);
  const listed = async (key: string) =>
    (await call("GET", "/vector-stores", undefined, key)).body.data.map(({ id }: { id: string }) => id);
  assert.deepEqual(await listed(tied), [tenant.storeId]);
  assert.deepEqual(await listed(free), [tenant.storeId, other].sort());
  const get = (id: string, key: string) => call("GET", `/vector-stores/${id}`, undefined, key);
  assert.equal((await get(tenant.storeId, tied)).status, 200);
  assertError(await get(other, tied), "INSUFFICIENT_PERMISSIONS");
  assertError(await get("vs_nothing", tied), "INSUFFICIENT_PERMISSIONS");
  assert.equal((await get(other, free)).status, 200);
  assertError(await get("vs_nothing", free), "VECTOR_STORE_NOT_FOUND");
  assertError(await get(tenant.storeId, tenant.key), "INSUFFICIENT_PERMISSIONS");
});
