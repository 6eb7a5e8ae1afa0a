import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createRoleKey, indexAll } from "../../server/test/test-server.ts";
import { everyItem, Management, type TidemarkError } from "../src/public.ts";
import { access, records, startStore } from "./store.ts";

const at = "2025-11-11T10:30:00Z";
const upsert = (id: string, namespace = "tasks") => ({
  action: "upsert" as const,
  id,
  namespace,
  data: { id },
});

describe("the client of a store", () => {
  test("validates its connection, and reads the service's health", async (t) => {
    const { tidemark } = await startStore(t);
    const { status, checks } = await tidemark.validate();
    assert.deepEqual([status, checks.vector_store_record.vector_store_name], ["valid", "Test store"]);
    assert.equal((await tidemark.health()).status, "healthy");
  });

  test("returns the health of an unhealthy service, and throws for a rejection", async (t) => {
    const away = async () => {
      throw new Error("the database is away");
    };
    const { tidemark, server } = await startStore(
      t,
      {},
      { retry: { attempts: 1 } },
      {
        wrap: (commands) => ({ ...commands, findOrganization: away as never }),
      },
    );
    assert.equal((await tidemark.health()).status, "unhealthy");
    server.app.drain();
    await assert.rejects(tidemark.health(), (error: TidemarkError) => error.is("SERVICE_UNAVAILABLE"));
  });

  test("syncs, checks which ids exist, and reads the store", async (t) => {
    const { tidemark, tenant } = await startStore(t);
    const operations = [upsert("a"), upsert("b"), upsert("ü/?&=#", "odd name/?&")];
    const answer = await tidemark.sync({ sync_mode: "incremental", sync_timestamp: at, operations });
    assert.equal(answer.changes.created, 3);

    const { existing_ids, new_ids } = await tidemark.checkExists({ namespace: "tasks", ids: ["b", "c"] });
    assert.deepEqual([existing_ids, new_ids], [["b"], ["c"]]);

    const namespaces = await tidemark.listNamespaces();
    assert.deepEqual(
      namespaces.data.map(({ namespace, records, digest }) => [namespace, records, digest]),
      [
        ["odd name/?&", 1, answer.digests!["odd name/?&"]],
        ["tasks", 2, answer.digests!.tasks],
      ],
    );
    const page = await tidemark.listRecords({ namespace: "tasks", limit: 1 });
    assert.deepEqual([page.data[0]!.id, page.has_more], ["a", true]);
    const rest = await tidemark.listRecords({ namespace: "tasks", cursor: page.next_cursor! });
    assert.deepEqual(
      rest.data.map(({ id }) => id),
      ["b"],
    );
    const record = await tidemark.getRecord({ namespace: "odd name/?&", id: "ü/?&=#" });
    assert.deepEqual(record.data, { id: "ü/?&=#" });

    const syncs = await tidemark.listSyncs({ sync_mode: "incremental", connector_id: tenant.connectorId });
    assert.deepEqual(
      syncs.data.map(({ id }) => id),
      [answer.sync_id],
    );
    assert.deepEqual((await tidemark.listSyncs({ sync_mode: "full_refresh" })).data, []);
    assert.equal((await tidemark.getSync(answer.sync_id!)).results.upserted, 3);
  });

  test("searches with a reader's key, and waits for a sync", async (t) => {
    const { tidemark, client, server, tenant } = await startStore(t);
    const apiKey = await createRoleKey(server.commands, "reader", tenant.organizationId, tenant.storeId);
    const reader = client({ apiKey });
    const { sync_id } = await tidemark.sync({
      sync_mode: "incremental",
      sync_timestamp: at,
      operations: [
        { ...upsert("a"), data: { title: "zebra", n: 1 } },
        { ...upsert("b"), data: { title: "zebra", n: 2 } },
      ],
    });
    const request = { query: "zebras", after_sync: sync_id!, timeout_ms: 0 };
    await assert.rejects(reader.search(request), (error: TidemarkError) => {
      if (!error.is("INDEX_NOT_READY")) return false;
      assert.deepEqual([error.status, error.details.after_sync, error.details.pending], [409, sync_id, 2]);
      return true;
    });
    await indexAll(server.commands);
    const answer = await reader.search({ ...request, filter: { n: { $gt: 1 } }, include: ["data"] });
    assert.equal(answer.mode, "lexical");
    assert.deepEqual(
      answer.data.map(({ id, data }) => [id, data]),
      [["b", { title: "zebra", n: 2 }]],
    );
    assert.deepEqual(answer.indexing, { pending: 0 });
  });

  test("cannot search with a connector's key", async (t) => {
    const { tidemark } = await startStore(t);
    await assert.rejects(tidemark.search({ query: "zebra" }), (error: TidemarkError) =>
      error.is("INSUFFICIENT_PERMISSIONS"),
    );
  });

  test("lists an unfinished refresh, and aborts it", async (t) => {
    const { tidemark } = await startStore(t);
    const part = { sync_mode: "full_refresh" as const, sync_timestamp: at, last_batch: false };
    await tidemark.sync({ ...part, refresh_id: "one", operations: [upsert("a")] });
    const { data } = await tidemark.listRefreshes();
    assert.deepEqual(
      data.map(({ refresh_id }) => refresh_id),
      ["one"],
    );
    assert.equal((await tidemark.abortRefresh(data[0]!.id)).deleted, true);
    assert.deepEqual((await tidemark.listRefreshes()).data, []);
  });

  test("reads a list of any length, page by page", async (t) => {
    const { tidemark } = await startStore(t);
    await tidemark.syncAll(records(0, 250), { mode: "incremental", namespace: "tasks" });
    const ids = new Set<string>();
    for await (const { id } of everyItem((page) => tidemark.listRecords({ namespace: "tasks", ...page }))) {
      ids.add(id);
    }
    assert.equal(ids.size, 250);
  });

  test("accepts a URL with a path, and one that ends in a slash", async (t) => {
    const { client, server } = await startStore(t);
    assert.equal((await client({ url: `${server.url}//` }).health()).status, "healthy");
    await assert.rejects(client({ url: `${server.url}/below` }).health(), (error: TidemarkError) =>
      error.is("RESOURCE_NOT_FOUND"),
    );
  });
});

describe("management", () => {
  test("creates, reads, changes and deletes stores, connectors and keys", async (t) => {
    const { server, tenant, client } = await startStore(t);
    const apiKey = await createRoleKey(server.commands, "admin", tenant.organizationId);
    const management = new Management({ ...access(server.url, tenant), apiKey });

    const store = await management.createVectorStore({ name: "Docs" });
    assert.equal((await management.getVectorStore(store.id)).name, "Docs");
    assert.equal((await management.updateVectorStore(store.id, { name: "Manuals" })).name, "Manuals");
    const stores = await management.listVectorStores({ limit: 1 });
    assert.deepEqual([stores.data.length, stores.has_more], [1, true]);

    const connector = await management.createConnector({ name: "Wiki", vector_store_id: store.id });
    const wiki = client({ vectorStoreId: store.id, apiKey: connector.api_key });
    assert.equal((await wiki.validate()).status, "valid");
    assert.equal((await management.getConnector(connector.id)).name, "Wiki");
    assert.equal((await management.updateConnector(connector.id, { name: "Pages" })).name, "Pages");
    assert.equal((await management.listConnectors()).data.length, 2);

    const second = await management.createConnectorKey(connector.id);
    const expiring = await management.createConnectorKey(connector.id, {
      expires_at: "2099-01-01T00:00:00Z",
    });
    assert.equal(Date.parse(expiring.expires_at!), Date.UTC(2099, 0, 1));
    assert.equal(
      (await client({ vectorStoreId: store.id, apiKey: second.api_key }).validate()).status,
      "valid",
    );
    assert.notEqual((await management.revokeConnectorKey(connector.id, second.id)).revoked_at, null);

    assert.equal((await management.deleteConnector(connector.id)).deleted, true);
    assert.equal((await management.deleteVectorStore(store.id)).deleted, true);
    await assert.rejects(management.getVectorStore(store.id), (error: TidemarkError) =>
      error.is("VECTOR_STORE_NOT_FOUND"),
    );
  });

  test("does not retry a request that might create something twice", async (t) => {
    const { server, tenant } = await startStore(t);
    const apiKey = await createRoleKey(server.commands, "admin", tenant.organizationId);
    let requests = 0;
    const management = new Management({
      ...access(server.url, tenant),
      apiKey,
      fetch: async (input, init) => {
        requests++;
        await fetch(input, init);
        throw new TypeError("the connection broke");
      },
    });
    await assert.rejects(management.createVectorStore({ name: "Docs" }), (error: TidemarkError) =>
      error.is("CONNECTION_FAILED"),
    );
    assert.equal(requests, 1);
    await assert.rejects(management.listVectorStores(), (error: TidemarkError) =>
      error.is("CONNECTION_FAILED"),
    );
    assert.equal(requests, 9, "a read is tried 8 times");
  });
});
