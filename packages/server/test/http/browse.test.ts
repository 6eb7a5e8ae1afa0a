import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { digestOf, type SourceRecord } from "@tidemark/client";
import { createRoleKey } from "../test-server.ts";
import { assertError, assertFieldError } from "./error-answer.ts";
import { allPages } from "./management.ts";
import { at, type Refresher, remove, startRefresher, upserts } from "./staged-refresh-client.ts";

const query = (path: string, fields: Record<string, string>) => `${path}?${new URLSearchParams(fields)}`;

/** Ids and namespaces that a server could misread. */
const ODD = [
  "100%",
  "%41",
  "a+b",
  "a b",
  "a/b/../c",
  `"quoted" 'twice'`,
  "a&id=b#c?d",
  "zwölf 日本 🦊",
  "é",
  "e\u0301",
  "'; DROP TABLE records; --",
  "__proto__",
  "\\",
  "\u0001\n\t",
  "\uffff",
  "n".repeat(255),
];

describe("GET namespaces", () => {
  test("shows the records, the digest and the times of the last sync and refresh", async (t) => {
    const refresher = await startRefresher(t);
    const { clock } = refresher.server;
    assert.deepEqual((await refresher.get("/namespaces")).body, {
      object: "list",
      data: [],
      has_more: false,
      next_cursor: null,
    });
    await refresher.sync({ operations: [...upserts(0, 3), remove("r2")] });
    clock.now += 60_000;
    await refresher.refresh({ operations: upserts(0, 2, { v: 1 }, "refreshed"), namespaces: ["empty"] });
    const { body } = await refresher.get("/namespaces");
    const zero = "0".repeat(64);
    const [empty, refreshed, tasks] = body.data;
    assert.deepEqual(
      [empty, refreshed, tasks].map(({ indexing, ...rest }) => rest),
      [
        { namespace: "empty", records: 0, last_refresh_at: at(31), digest: zero },
        {
          namespace: "refreshed",
          records: 2,
          last_refresh_at: at(31),
          digest: await digestOf(upserts(0, 2, { v: 1 }) as SourceRecord[]),
        },
        {
          namespace: "tasks",
          records: 2,
          last_refresh_at: null,
          digest: await digestOf(upserts(0, 2) as SourceRecord[]),
        },
      ].map((expected) => ({
        object: "namespace",
        ...expected,
        last_sync_at: new Date(expected.namespace === "tasks" ? clock.now - 60_000 : clock.now).toISOString(),
      })),
    );
    assert.deepEqual(empty.indexing, { pending: 0, failed: 0, oldest_pending_at: null });
    const since = new Date(clock.now).toISOString();
    assert.deepEqual(refreshed.indexing, { pending: 2, failed: 0, oldest_pending_at: since });
  });

  test("lists namespaces by name in pages", async (t) => {
    const refresher = await startRefresher(t);
    const names = [...ODD, ...Array.from({ length: 10 }, (_, index) => `n${index}`)];
    await refresher.sync({ operations: names.flatMap((name) => upserts(0, 1, {}, name)) });
    const pages = await allPages(refresher, `/vector-stores/${refresher.tenant.storeId}/namespaces`, 7);
    assert.deepEqual(
      pages.map(({ data }) => data.length),
      [7, 7, 7, 5],
    );
    const listed = pages.flatMap(({ data }) => data.map(({ namespace }: { namespace: string }) => namespace));
    const byBytes = names.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    assert.deepEqual(listed, byBytes);
  });
});

describe("GET records and GET record", () => {
  test("return the content exactly as sent, and when it arrived", async (t) => {
    const refresher = await startRefresher(t);
    const { clock } = refresher.server;
    const content = {
      data: { text: "Zürich 🦊", nested: { b: [1, null, 2.5e-7], a: "" }, ["__proto__"]: 1, id: "other" },
      source_system: "airbyte",
      file: { file_url: "s3://bucket/a.pdf", file_relative_path: "a.pdf" },
      created_at: "2025-01-01T00:00:00.000+02:00",
      updated_at: "2025-02-01T03:04:05",
    };
    const operations = [{ action: "upsert", id: "r0", namespace: "tasks", ...content }, ...upserts(1, 2)];
    await refresher.syncRaw({}, JSON.stringify(operations));
    const synced_at = new Date(clock.now).toISOString();
    clock.now += 1000;
    // An unchanged record keeps its synced_at.
    await refresher.syncRaw({ sync_timestamp: at(31) }, JSON.stringify(operations));
    const { body } = await refresher.get("/record?namespace=tasks&id=r0");
    const indexing = { status: "pending" };
    assert.deepEqual(body, {
      object: "record",
      namespace: "tasks",
      id: "r0",
      ...content,
      synced_at,
      indexing,
    });
    const plain = { object: "record", namespace: "tasks", id: "r1", data: {}, synced_at, indexing };
    const list = await refresher.get("/records?namespace=tasks");
    assert.deepEqual(list.body, { object: "list", data: [body, plain], has_more: false, next_cursor: null });
  });

  test("list records in the byte order of their ids", async (t) => {
    const refresher = await startRefresher(t);
    const ids = [...ODD, ...upserts(0, 200).map(({ id }) => id)];
    const operations = ids.map((id) => ({ action: "upsert", id, namespace: "tasks", data: { id } }));
    await refresher.sync({ operations: [...operations, ...upserts(0, 5, {}, "other"), remove("gone")] });
    const listed: string[] = [];
    let cursor = "";
    for (;;) {
      const { body } = await refresher.get(
        query("/records", { namespace: "tasks", limit: "50", ...(cursor && { cursor }) }),
      );
      for (const { id, data } of body.data) {
        assert.equal(data.id, id);
        listed.push(id);
      }
      assert.equal(body.has_more, body.next_cursor !== null);
      if (!body.has_more) break;
      assert.equal(body.data.length, 50);
      cursor = body.next_cursor;
    }
    assert.deepEqual(
      listed,
      ids.sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b))),
    );
    const byDefault = await refresher.get("/records?namespace=tasks");
    assert.deepEqual([byDefault.body.data.length, byDefault.body.has_more], [20, true]);
  });

  test("find every id and namespace that a sync accepts", async (t) => {
    const refresher = await startRefresher(t);
    const operations = ODD.map((odd, index) => ({
      action: "upsert",
      id: odd,
      namespace: odd,
      data: { index },
    }));
    assert.equal((await refresher.sync({ operations })).status, 200);
    for (const [index, odd] of ODD.entries()) {
      const { status, body } = await refresher.get(query("/record", { namespace: odd, id: odd }));
      assert.deepEqual([status, body.id, body.namespace, body.data], [200, odd, odd, { index }], odd);
      const list = await refresher.get(query("/records", { namespace: odd }));
      assert.deepEqual(list.body.data, [body]);
      const percent = encodeURIComponent(odd).replace(/%20/g, "+");
      assert.deepEqual((await refresher.get(`/record?namespace=${percent}&id=${percent}`)).body, body);
    }
  });

  test("do not find records that are deleted, cleared, staged or unknown", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: [...upserts(0, 3), remove("r1")] });
    await refresher.refresh({ operations: upserts(0, 1) });
    await refresher.refresh({ sync_timestamp: at(32), last_batch: false, operations: upserts(5, 6) });
    for (const id of ["r1", "r2", "r5", "R0", "r0 ", "r"]) {
      const answer = await refresher.get(query("/record", { namespace: "tasks", id }));
      assert.deepEqual(assertError(answer, "RESOURCE_NOT_FOUND"), { namespace: "tasks", id });
    }
    assertError(await refresher.get("/record?namespace=Tasks&id=r0"), "RESOURCE_NOT_FOUND");
    const empty = { object: "list", data: [], has_more: false, next_cursor: null };
    assert.deepEqual((await refresher.get("/records?namespace=unknown")).body, empty);
  });

  test("a listing that a refresh interrupts gets a 409 and can be restarted", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 10) });
    const first = await refresher.get("/records?namespace=tasks&limit=5");
    const next = query("/records", { namespace: "tasks", limit: "5", cursor: first.body.next_cursor });
    // Incremental, staged, planned and rejected syncs, and other namespaces, do not interrupt the listing.
    await refresher.sync({ sync_timestamp: at(31), operations: [...upserts(9, 12, { v: 1 }), remove("r8")] });
    await refresher.refresh({ sync_timestamp: at(33), last_batch: false, operations: upserts(0, 1) });
    await refresher.refresh({ sync_timestamp: at(32), operations: [], namespaces: ["tasks"], dry_run: true });
    await refresher.refresh({ sync_timestamp: at(32), operations: upserts(0, 1), removal_limit: 0 });
    await refresher.refresh({ sync_timestamp: at(32), operations: upserts(0, 1, {}, "other") });
    const second = await refresher.get(next);
    assert.deepEqual(
      second.body.data.map(({ id }: { id: string }) => id),
      ["r5", "r6", "r7", "r9"],
    );
    await refresher.refresh({ sync_timestamp: at(32), operations: upserts(0, 10) });
    assert.deepEqual(assertError(await refresher.get(next), "LISTING_OUTDATED"), { namespace: "tasks" });
    assert.equal((await refresher.get("/records?namespace=tasks")).body.data.length, 10);
  });

  test("reject invalid cursors, page sizes and record keys", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 3) });
    const cursors = ["x", "[]", "null", "5", '"a"', "{}", "[1]", '[0.5,"a"]', "[0,1]", "[[],{}]", "after:r1"];
    for (const text of ["", "%", ...cursors.map((cursor) => Buffer.from(cursor).toString("base64url"))]) {
      const answer = await refresher.get(query("/records", { namespace: "tasks", cursor: text }));
      assertFieldError(answer, "cursor", "INVALID_CURSOR");
    }
    const wrong: [path: string, field: string][] = [
      ["/records", "namespace"],
      ["/records?namespace=", "namespace"],
      ["/records?namespace=tasks&limit=0", "limit"],
      ["/records?namespace=tasks&limit=101", "limit"],
      ["/records?namespace=tasks&limit=1.5", "limit"],
      ["/records?namespace=tasks&namespace=tasks", "namespace"],
      [`/records?namespace=${"n".repeat(256)}`, "namespace"],
      ["/records?namespace=tasks&id=r0", "id"],
      ["/record?namespace=tasks", "id"],
      ["/record?namespace=tasks&id=", "id"],
      ["/record?id=r0", "namespace"],
      ["/record?namespace=tasks&id=r0&limit=1", "limit"],
      ["/namespaces?limit=x", "limit"],
      ["/namespaces?namespace=tasks", "namespace"],
    ];
    for (const [path, field] of wrong) {
      const { errors } = assertError(await refresher.get(path), "VALIDATION_ERROR");
      assert.ok(
        errors.some((error: { field: string }) => error.field === field),
        `${path}: ${JSON.stringify(errors)}`,
      );
    }
    assertFieldError(await refresher.get("/namespaces?cursor=x"), "cursor", "INVALID_CURSOR");
  });
});

describe("the contents of a store", () => {
  const paths = [
    "/namespaces",
    "/records?namespace=tasks",
    "/record?namespace=tasks&id=r0",
    "/refreshes",
    "/syncs",
  ];

  const statuses = async (refresher: Refresher, key: string, store = refresher.tenant.storeId) =>
    Promise.all(
      paths.map(
        async (path) =>
          (await refresher.call("GET", `/vector-stores/${store}${path}`, undefined, key)).status,
      ),
    );
  const all = (status: number) => paths.map(() => status);

  test("can be read by its connectors, its readers and admins, and by no other key", async (t) => {
    const refresher = await startRefresher(t);
    const { server, tenant, admin, call } = refresher;
    await refresher.sync({ operations: upserts(0, 1) });
    const other = (await call("POST", "/vector-stores", { name: "Other" })).body.id;
    const { organizationId } = tenant;
    const [reader, readerOfStore, readerOfOther] = await Promise.all([
      createRoleKey(server.commands, "reader", organizationId),
      createRoleKey(server.commands, "reader", organizationId, tenant.storeId),
      createRoleKey(server.commands, "reader", organizationId, other),
    ]);
    for (const key of [tenant.key, reader, readerOfStore, admin]) {
      assert.deepEqual(await statuses(refresher, key), all(200));
    }
    assert.deepEqual(await statuses(refresher, readerOfOther), all(403));
    for (const key of [tenant.key, readerOfStore]) {
      assert.deepEqual(await statuses(refresher, key, other), all(403));
      assert.deepEqual(await statuses(refresher, key, "vs_unknown"), all(403));
    }
    assert.deepEqual(await statuses(refresher, "tdm_c_nobody"), all(401));
    assert.deepEqual(await statuses(refresher, reader, other), [200, 200, 404, 200, 200]);
    for (const key of [reader, admin]) {
      assert.deepEqual(await statuses(refresher, key, "vs_unknown"), all(404));
    }
    for (const path of paths) {
      const answer = await call("GET", `/vector-stores/vs_unknown${path}`);
      assertError(answer, "VECTOR_STORE_NOT_FOUND");
    }
    await call("DELETE", `/vector-stores/${tenant.storeId}`);
    assert.deepEqual(await statuses(refresher, admin), all(404));
  });
});
