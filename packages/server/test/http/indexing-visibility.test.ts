import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import type { SyncObject } from "@tidemark/protocol/browse";
import type { Config } from "../../src/config.ts";
import { type EmbeddingsServer, faults, startEmbeddingsServer } from "../embeddings-server.ts";
import { indexAll } from "../test-server.ts";
import { startManagement } from "./management.ts";
import { upsert } from "./pipeline.ts";

const MINUTE_MS = 60_000;

/** Starts a store whose indexer runs only when the test calls it, with functions that read the progress. */
async function startStore(t: TestContext, overrides: Partial<Config> = {}) {
  const management = await startManagement(t, overrides);
  const { server, tenant, call, sync, headers } = management;
  const store = `/vector-stores/${tenant.storeId}`;
  const get = async (path: string) => (await call("GET", store + path)).body;
  return {
    ...management,
    get,
    /** Upserts texts by id. @returns the sync's id */
    async put(texts: Record<string, string>, namespace = "tasks"): Promise<string> {
      const operations = Object.entries(texts).map(([id, text]) => upsert(id, { namespace, data: { text } }));
      const { status, body } = await sync({ operations });
      assert.equal(status, 200);
      return body.sync_id;
    },
    index: () => indexAll(server.commands),
    /** Returns `indexing` of a namespace; `record` and `syncState` do the same for a record and a sync. */
    async namespace(name = "tasks") {
      const { data } = await get("/namespaces");
      return data.find(({ namespace }: { namespace: string }) => namespace === name).indexing;
    },
    record: async (id: string) => (await get(`/record?namespace=tasks&id=${id}`)).indexing,
    syncState: async (id: string) => (await get(`/syncs/${id}`)).indexing,
    search: async (query: string, fields: object = {}) =>
      (await call("POST", `${store}/search`, { query, ...fields })).body,
    async component() {
      const { body } = await server.request("GET", "/v1/pipeline/health");
      const [index] = body.components.filter(({ name }: { name: string }) => name === "index");
      return { overall: body.status, ...index };
    },
    async check(): Promise<{ valid: boolean; message: string }> {
      const query = `organization_id=${tenant.organizationId}&vector_store_id=${tenant.storeId}`;
      return (await server.request("GET", `/v1/pipeline/health/validate?${query}`, { headers })).body.checks
        .index;
    },
    async metric(name: string) {
      const text = await (await fetch(`${server.url}/metrics`)).text();
      return Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
    },
    since: (moment = server.clock.now) => new Date(moment).toISOString(),
  };
}

const UP_TO_DATE = { pending: 0, failed: 0, oldest_pending_at: null };

/** Starts a store whose embeddings endpoint rejects texts that contain `poison`. */
async function startPoisoned(t: TestContext) {
  const endpoint = await startEmbeddingsServer(t);
  endpoint.fault = faults.refuse("poison", 400, "fault: poison");
  const store = await startStore(t, { embeddingsUrl: endpoint.url, embeddingsModel: "test-model" });
  /** Runs the indexer until rejected texts have used up their attempts. */
  const failAll = async () => {
    for (let tries = 0; tries < 8; tries++) {
      await store.index();
      store.server.clock.now += 60 * MINUTE_MS;
    }
  };
  return { ...store, endpoint: endpoint as EmbeddingsServer, failAll };
}

describe("indexing progress", () => {
  test("is shown for a namespace, a record and a sync, before and after indexing", async (t) => {
    const store = await startStore(t);
    const written = store.since();
    const first = await store.put({ a: "alpha", b: "beta" });
    store.server.clock.now += 1000;
    await store.put({ c: "gamma" }, "other");
    assert.deepEqual(await store.namespace(), { pending: 2, failed: 0, oldest_pending_at: written });
    assert.deepEqual(await store.namespace("other"), {
      pending: 1,
      failed: 0,
      oldest_pending_at: store.since(),
    });
    assert.deepEqual(await store.syncState(first), { pending: 2, failed: 0, oldest_pending_at: written });
    assert.deepEqual(await store.record("a"), { status: "pending" });

    await store.index();
    for (const name of ["tasks", "other"]) assert.deepEqual(await store.namespace(name), UP_TO_DATE);
    assert.deepEqual(await store.syncState(first), UP_TO_DATE);
    assert.deepEqual(await store.record("a"), { status: "indexed" });
  });

  test("shows a record as pending while search finds only its old text", async (t) => {
    const store = await startStore(t);
    await store.put({ a: "alpha", b: "beta" });
    await store.index();
    await store.put({ a: "omega" });
    assert.equal((await store.search("alpha")).data[0].id, "a");
    assert.deepEqual(
      [await store.record("a"), await store.record("b")],
      [{ status: "pending" }, { status: "indexed" }],
    );
    const { data } = await store.get("/records?namespace=tasks");
    assert.deepEqual(
      data.map(({ indexing }: { indexing: unknown }) => indexing),
      [{ status: "pending" }, { status: "indexed" }],
    );
    await store.index();
    assert.deepEqual(await store.record("a"), { status: "indexed" });
  });

  test("of a sync includes all earlier syncs, also in the list", async (t) => {
    const store = await startStore(t);
    const indexed = await store.put({ a: "alpha" });
    await store.index();
    const times: string[] = [];
    const syncs = [indexed];
    for (const texts of [{ b: "b1" }, {}, { c: "c1", d: "d1" }, { a: "a2" }]) {
      store.server.clock.now += 1000;
      times.push(store.since());
      syncs.push(await store.put(texts));
    }
    const expected = [0, 1, 1, 3, 4].map((pending) => ({
      pending,
      failed: 0,
      oldest_pending_at: pending === 0 ? null : times[0],
    }));
    const { data } = (await store.get("/syncs?limit=100")) as { data: SyncObject[] };
    assert.deepEqual(
      data.map(({ id, indexing }) => ({ id, indexing })),
      syncs.map((id, index) => ({ id, indexing: expected[index] })).reverse(),
    );
    for (const [index, id] of syncs.entries()) assert.deepEqual(await store.syncState(id), expected[index]);
    // A later page also counts the syncs on the pages after it.
    const [newest] = data;
    const page = await store.get("/syncs?limit=2");
    const next = await store.get(`/syncs?limit=2&cursor=${page.next_cursor}`);
    assert.notEqual(next.data[0].id, newest!.id);
    assert.deepEqual(next.data[0].indexing, expected[2]);
  });

  test("of a staged part is counted and can be up to date before the last batch", async (t) => {
    const store = await startStore(t);
    const part = await stageTwo(store);
    assert.equal((await store.syncState(part)).pending, 2);
    await store.index();
    assert.deepEqual(await store.syncState(part), UP_TO_DATE);
  });

  test("shows failed records with their error, while other records are indexed", async (t) => {
    const store = await startPoisoned(t);
    const sync = await store.put({ bad: "poison", good: "water" });
    await store.index();
    const tried = await store.record("bad");
    assert.deepEqual([tried.status, await store.record("good")], ["pending", { status: "indexed" }]);
    assert.match(tried.error, /fault: poison/);

    await store.failAll();
    const failed = { pending: 0, failed: 1, oldest_pending_at: null };
    assert.deepEqual([await store.namespace(), await store.syncState(sync)], [failed, failed]);
    const record = await store.record("bad");
    assert.equal(record.status, "failed");
    assert.match(record.error, /fault: poison/);
    assert.deepEqual(await store.record("good"), { status: "indexed" });
    const { valid, message } = await store.check();
    assert.deepEqual([valid, /could not be indexed: 1\./.test(message)], [true, true]);
    const { overall, details } = await store.component();
    assert.deepEqual([overall, details], ["healthy", { pending: 0, failed: 1, lag_seconds: 0 }]);
    assert.equal(await store.metric("tidemark_index_failed"), 1);
  });

  test("failed records are retried only when an operator asks for it", async (t) => {
    const store = await startPoisoned(t);
    const { commands } = store.server;
    const ids = [store.tenant.organizationId, store.tenant.storeId] as const;
    await store.put({ one: "poison 1", two: "poison 2" });
    await store.put({ three: "poison 3" }, "other");
    await store.failAll();
    const list = await commands.listFailed(...ids, {});
    assert.deepEqual(
      list.data.map(({ namespace, id, attempts }) => [namespace, id, attempts]),
      [
        ["tasks", "one", 6],
        ["tasks", "two", 6],
        ["other", "three", 6],
      ],
    );
    const page = await commands.listFailed(...ids, { limit: 2 });
    const rest = await commands.listFailed(...ids, { limit: 2, cursor: page.next_cursor! });
    assert.deepEqual([...page.data, ...rest.data], list.data);

    store.endpoint.fault = null;
    await store.index();
    assert.equal((await store.record("one")).status, "failed");
    assert.equal(await commands.retryFailed(...ids, { namespace: "other", id: "one" }), 0);
    assert.equal(await commands.retryFailed(...ids, { namespace: "tasks", id: "one" }), 1);
    assert.equal((await store.record("one")).status, "pending");
    await store.index();
    assert.deepEqual(
      [await store.record("one"), (await store.record("two")).status],
      [{ status: "indexed" }, "failed"],
    );
    assert.equal(await commands.retryFailed(...ids, { namespace: null, id: null }), 2);
    await store.index();
    assert.deepEqual([await store.namespace(), await store.namespace("other")], [UP_TO_DATE, UP_TO_DATE]);
    assert.equal((await store.search("poison", { mode: "lexical" })).data.length, 3);
  });
});

/** Stages a part of a refresh that never gets its last batch. @returns the sync's id */
async function stageTwo({ sync }: Awaited<ReturnType<typeof startStore>>): Promise<string> {
  const { body } = await sync({
    sync_mode: "full_refresh",
    sync_timestamp: "2025-11-11T10:31:00Z",
    last_batch: false,
    operations: [upsert("a", { data: { text: "alpha" } }), upsert("b", { data: { text: "beta" } })],
  });
  assert.equal(body.status, "staged");
  return body.sync_id;
}

describe("an index that lags behind", () => {
  test("degrades health only after five minutes, while syncs and the connection test still work", async (t) => {
    const store = await startStore(t);
    assert.deepEqual(await store.component(), {
      status: "healthy",
      overall: "healthy",
      name: "index",
      details: { pending: 0, failed: 0, lag_seconds: 0 },
    });
    assert.equal((await store.check()).message, "Search is up to date.");
    await store.put({ a: "alpha" });
    store.server.clock.now += 5 * MINUTE_MS;
    const late = await store.component();
    assert.deepEqual([late.overall, late.details.lag_seconds], ["healthy", 300]);
    store.server.clock.now += 6000;
    const { status, overall, details } = await store.component();
    assert.deepEqual(
      [status, overall, details],
      ["degraded", "degraded", { pending: 1, failed: 0, lag_seconds: 306 }],
    );
    const answer = await store.server.request("GET", "/v1/pipeline/health");
    assert.equal(answer.status, 200, "a degraded server still answers");
    const { valid, message } = await store.check();
    assert.deepEqual(
      [valid, message],
      [true, "Search is up to 306 s behind. Changes waiting for the index: 1."],
    );

    await store.index();
    store.server.clock.now += 60 * MINUTE_MS;
    assert.equal((await store.component()).overall, "healthy");
  });

  test("appears in the metrics, which are not recounted for every scrape", async (t) => {
    const store = await startStore(t);
    const gauges = async () => [
      await store.metric("tidemark_index_pending"),
      await store.metric("tidemark_index_failed"),
      await store.metric("tidemark_index_lag_seconds"),
    ];
    assert.deepEqual(await gauges(), [0, 0, 0]);
    await store.put({ a: "alpha", b: "beta" });
    assert.deepEqual(await gauges(), [0, 0, 0]);
    store.server.clock.now += 60 * MINUTE_MS;
    assert.deepEqual(await gauges(), [2, 0, 3600]);
    await store.index();
    store.server.clock.now += 60 * MINUTE_MS;
    assert.deepEqual(await gauges(), [0, 0, 0]);
  });

  test("does not count a deleted store", async (t) => {
    const store = await startStore(t);
    await store.put({ a: "alpha" });
    assert.equal((await store.call("DELETE", `/vector-stores/${store.tenant.storeId}`)).status, 200);
    assert.equal(await store.metric("tidemark_index_pending"), 0);
  });
});

test("searches are counted and timed by mode, but those with after_sync are not timed", async (t) => {
  const endpoint = await startEmbeddingsServer(t);
  const store = await startStore(t, { embeddingsUrl: endpoint.url, embeddingsModel: "test-model" });
  const sync = await store.put({ a: "alpha" });
  await store.index();
  await store.search("alpha");
  await store.search("alpha", { mode: "lexical", after_sync: sync });
  endpoint.fault = faults.status(500);
  await store.search("alpha");
  const modes = ["hybrid", "lexical"];
  const values = (name: string) =>
    Promise.all(modes.map((mode) => store.metric(`${name}\\{mode="${mode}"\\}`)));
  assert.deepEqual(await values("tidemark_searches_total"), [1, 2]);
  assert.deepEqual(await values("tidemark_search_duration_seconds_count"), [1, 1]);
  assert.equal(await store.metric("tidemark_search_warnings_total"), 1);
});

test("a server with an indexer indexes syncs without being asked", async (t) => {
  const management = await startManagement(t, {}, { indexes: true });
  const { sync, call, tenant } = management;
  const { body } = await sync({ operations: [upsert("a", { data: { text: "alpha" } })] });
  const store = `/vector-stores/${tenant.storeId}`;
  const results = await call("POST", `${store}/search`, { query: "alpha", after_sync: body.sync_id });
  assert.equal(results.body.data.length, 1);
  assert.deepEqual((await call("GET", `${store}/syncs/${body.sync_id}`)).body.indexing, UP_TO_DATE);
});
