import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createRoleKey, createTenant, syncBody } from "../test-server.ts";
import { assertError } from "./error-answer.ts";
import { SYNC, upsert } from "./pipeline.ts";
import { startSearching } from "./searching.ts";

const refresh = { sync_mode: "full_refresh", sync_timestamp: "2025-11-11T11:00:00Z" };
const zebra = { title: "zebra" };

describe("after_sync", () => {
  test("gets a 409 with the pending count when its timeout ends", async (t) => {
    const { put, search } = await startSearching(t);
    const sync = await put({ a: zebra, b: zebra });
    for (const timeout_ms of [0, 30]) {
      const details = assertError(
        await search({ query: "zebra", after_sync: sync, timeout_ms }),
        "INDEX_NOT_READY",
      );
      assert.deepEqual(details, { after_sync: sync, pending: 2 });
    }
  });

  test("waits until the sync is searchable", async (t) => {
    const arrived = Promise.withResolvers<void>();
    const { put, index, found } = await startSearching(
      t,
      {},
      {
        wrap: (commands) => ({
          ...commands,
          search: (...args) => {
            arrived.resolve();
            return commands.search(...args);
          },
        }),
      },
    );
    const sync = await put({ a: zebra });
    const answer = found({ query: "zebra", after_sync: sync, timeout_ms: 60_000 });
    await arrived.promise;
    await index();
    assert.deepEqual(await answer, ["a"]);
  });

  test("does not wait for later syncs or for syncs of other stores", async (t) => {
    const { server, put, index, search } = await startSearching(t);
    const first = await put({ a: zebra });
    await index();
    await put({ b: zebra });
    const other = await createTenant(server.commands);
    const body = syncBody(other, { operations: [upsert("c", { data: zebra })] });
    await server.post(SYNC, body, { "x-api-key": other.key });
    const answer = await search({ query: "zebra", after_sync: first, timeout_ms: 0 });
    assert.deepEqual([answer.status, answer.body.indexing.pending], [200, 1]);
  });

  test("does not wait for a sync without changes or with only deletes", async (t) => {
    const { put, remove, index, found } = await startSearching(t);
    await put({ a: zebra, b: zebra });
    await index();
    const unchanged = await put({ a: zebra });
    assert.deepEqual(await found({ query: "zebra", after_sync: unchanged, timeout_ms: 0 }), ["a", "b"]);
    const deleted = await remove("a");
    await index();
    assert.deepEqual(await found({ query: "zebra", after_sync: deleted, timeout_ms: 0 }), ["b"]);
  });

  test("works with an indexer that runs during the syncs", async (t) => {
    const { put, found } = await startSearching(t, {}, { indexes: true });
    for (let round = 0; round < 5; round++) {
      const sync = await put({ a: { title: `zebra${round}` }, [`b${round}`]: zebra });
      assert.deepEqual(await found({ query: `zebra${round}`, after_sync: sync, timeout_ms: 60_000 }), ["a"]);
      assert.equal((await found("zebra")).length, round + 1);
    }
  });
});

describe("a record that was updated", () => {
  test("is found by its old text until its new text is indexed, and then only by the new text", async (t) => {
    const { put, index, found, search } = await startSearching(t);
    await put({ a: { title: "zebra", note: "striped" }, b: { title: "okapi" } });
    await index();
    const sync = await put({ a: { title: "giraffe", note: "tall" } });
    assert.deepEqual(await found("zebra striped"), ["a"]);
    assert.deepEqual(await found("giraffe tall"), []);
    await index();
    assert.deepEqual(await found({ query: "giraffe tall", after_sync: sync, timeout_ms: 0 }), ["a"]);
    assert.deepEqual(await found({ query: "zebra striped", after_sync: sync, timeout_ms: 0 }), []);
    assert.match((await search("giraffe")).body.data[0].text, /^giraffe\b/);
  });

  test("is found by its latest text after several updates between two indexings", async (t) => {
    const { put, index, found } = await startSearching(t);
    for (const title of ["zebra", "okapi", "giraffe"]) await put({ a: { title } });
    assert.deepEqual(await found("zebra okapi giraffe"), []);
    await index();
    assert.deepEqual(await found("giraffe"), ["a"]);
    assert.deepEqual(await found("zebra okapi"), []);
  });

  test("shows its new data as soon as the sync is acknowledged", async (t) => {
    const { put, index, search } = await startSearching(t);
    await put({ a: { title: "zebra", n: 1 } });
    await index();
    await put({ a: { title: "giraffe", n: 2 } });
    const { body } = await search({ query: "zebra", include: ["data"] });
    assert.deepEqual(body.data[0].data, { title: "giraffe", n: 2 });
  });
});

describe("a record that was removed", () => {
  test("is absent as soon as its delete is acknowledged", async (t) => {
    const { put, remove, index, found } = await startSearching(t);
    await put({ a: zebra, b: zebra });
    await index();
    await remove("a");
    assert.deepEqual(await found("zebra"), ["b"]);
    await remove("b");
    assert.deepEqual(await found("zebra"), []);
    await index();
    assert.deepEqual(await found("zebra"), []);
  });

  test("stays absent after it is created again, until its new text is indexed", async (t) => {
    const { put, remove, index, found } = await startSearching(t);
    await put({ a: zebra });
    await index();
    await remove("a");
    await put({ a: zebra });
    assert.deepEqual(await found("zebra"), []);
    await index();
    assert.deepEqual(await found("zebra"), ["a"]);
    await remove("a");
    await put({ a: { title: "giraffe" } });
    assert.deepEqual(await found("zebra"), []);
    await index();
    assert.deepEqual([await found("zebra"), await found("giraffe")], [[], ["a"]]);
  });

  test("never appears if it was removed before indexing", async (t) => {
    const { put, remove, index, found, search } = await startSearching(t);
    await put({ a: zebra });
    await remove("a");
    await index();
    assert.deepEqual(await found("zebra"), []);
    assert.equal((await search("zebra")).body.indexing.pending, 0);
  });

  test("is absent as soon as the refresh that clears it is acknowledged, while other records stay", async (t) => {
    const { sync, put, index, found } = await startSearching(t);
    await put({ a: zebra, b: zebra, c: zebra });
    await put({ other: zebra }, "other");
    await index();
    const operations = [upsert("b", { data: zebra }), upsert("c", { data: { title: "giraffe" } })];
    assert.equal((await sync({ ...refresh, operations })).body.changes.cleared, 1);
    assert.deepEqual((await found("zebra")).sort(), ["b", "c", "other"], "c is found by its old text");
    await index();
    assert.deepEqual((await found("zebra")).sort(), ["b", "other"]);
    assert.deepEqual(await found("giraffe"), ["c"]);
    await sync({ ...refresh, sync_timestamp: "2025-11-11T11:30:00Z", namespaces: ["tasks"] });
    assert.deepEqual(await found("zebra giraffe"), ["other"]);
  });
});

describe("a refresh in parts", () => {
  test("is invisible before its last batch, and then searchable immediately where already indexed", async (t) => {
    const { sync, put, index, found } = await startSearching(t);
    await put({ kept: zebra, changed: zebra, gone: zebra });
    await index();
    const part = { ...refresh, last_batch: false };
    await sync({ ...part, operations: [upsert("kept", { data: zebra }), upsert("new", { data: zebra })] });
    await sync({ ...part, operations: [upsert("changed", { data: { title: "giraffe" } })] });
    for (const isIndexed of [false, true]) {
      if (isIndexed) await index();
      assert.deepEqual((await found("zebra")).sort(), ["changed", "gone", "kept"]);
      assert.deepEqual(await found("giraffe"), []);
    }
    await sync({ ...refresh, operations: [upsert("last", { data: zebra })] });
    assert.deepEqual((await found("zebra")).sort(), ["kept", "new"], "last is not indexed yet");
    assert.deepEqual(await found("giraffe"), ["changed"]);
    await index();
    assert.deepEqual((await found("zebra")).sort(), ["kept", "last", "new"]);
    assert.deepEqual(await found("giraffe"), ["changed"]);
  });

  test("leaves nothing in search after it is aborted", async (t) => {
    const { server, tenant, sync, put, index, found } = await startSearching(t);
    await put({ kept: zebra });
    await index();
    await sync({
      ...refresh,
      last_batch: false,
      operations: [upsert("staged", { data: { title: "giraffe" } })],
    });
    await index();
    const path = `/v1/organizations/${tenant.organizationId}/vector-stores/${tenant.storeId}/refreshes`;
    const headers = { "x-api-key": tenant.key };
    const { body } = await server.request("GET", path, { headers });
    assert.equal((await server.request("DELETE", `${path}/${body.data[0].id}`, { headers })).status, 200);
    await index();
    assert.deepEqual([await found("zebra"), await found("giraffe")], [["kept"], []]);
  });
});

test("a store's results and scores do not depend on other stores", async (t) => {
  const { server, put, index, found, search } = await startSearching(t);
  await put({ a: zebra, b: { title: "okapi" } });
  await index();
  const alone = (await search("zebra")).body;
  const other = await createTenant(server.commands);
  const operations = Array.from({ length: 50 }, (_, i) => upsert(`o${i}`, { data: zebra }));
  await server.post(SYNC, syncBody(other, { operations }), { "x-api-key": other.key });
  await index();
  assert.deepEqual(await found("zebra"), ["a"]);
  assert.deepEqual((await search("zebra")).body, alone);
  const reader = await createRoleKey(server.commands, "reader", other.organizationId);
  const path = `/v1/organizations/${other.organizationId}/vector-stores/${other.storeId}/search`;
  const { body } = await server.post(path, { query: "zebra okapi", limit: 100 }, { "x-api-key": reader });
  assert.deepEqual(
    body.data.filter(({ id }: { id: string }) => !id.startsWith("o")),
    [],
  );
  assert.equal(body.data.length, 50);
});
