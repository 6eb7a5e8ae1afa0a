import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { digestOf } from "@tidemark/client";
import type { NamespaceObject } from "@tidemark/protocol/browse";
import { openStorage } from "../../src/storage/open.ts";
import { engines } from "../engines.ts";
import { createTarget } from "../faults/load.ts";
import { readRecords } from "../model/ledger-rows.ts";
import { startServerProcess } from "../server-process.ts";
import { syncBody, type Tenant } from "../test-server.ts";
import { whenDone } from "../when-done.ts";
import { assertError, assertFieldError } from "./error-answer.ts";
import { at, changes, remove, startRefresher, upserts } from "./staged-refresh-client.ts";
import { type Version, versionOf, Watcher } from "./staged-refresh-watcher.ts";

/** 10,000 records: by today, half of them are gone, a quarter changed and a quarter is unchanged. */
const yesterday = versionOf(
  "yesterday",
  Array.from({ length: 10_000 }, (_, n) => [`r${n}`, { n, v: 0 }]),
);
const today = versionOf(
  "today",
  Array.from({ length: 12_000 }, (_, i) => [`r${i + 5000}`, { n: i + 5000, v: i % 2 }]),
);

/** Returns a version's upserts in parts of `size`. */
function partsOf({ ids, data }: Version, size: number): object[][] {
  const operations = ids.map((id) => ({ action: "upsert", id, namespace: "tasks", data: data.get(id) }));
  return Array.from({ length: Math.ceil(ids.length / size) }, (_, part) =>
    operations.slice(part * size, (part + 1) * size),
  );
}

/** Sends a tenant's sync, and asserts a 200. */
// biome-ignore lint/suspicious/noExplicitAny: answers of every shape
async function send(url: string, tenant: Tenant, fields: Record<string, unknown>): Promise<any> {
  const response = await fetch(`${url}/v1/pipeline/sync`, {
    method: "POST",
    headers: { "content-type": "application/json", "x-api-key": tenant.key },
    body: JSON.stringify(syncBody(tenant, fields)),
  });
  const body = await response.json();
  assert.equal(response.status, 200, JSON.stringify(body));
  return body;
}

for (const engine of engines) {
  describe(`${engine.name}: a refresh of 12,000 records while clients read`, () => {
    /** Starts a server process with yesterday's records; `refresh` sends a part of today's. */
    async function startLoaded(t: TestContext, size: number, refresh_id?: string) {
      const databaseUrl = await engine.createDatabase(t);
      const tenant = await createTarget(databaseUrl);
      const { url } = await startServerProcess(t, { TIDEMARK_DATABASE_URL: databaseUrl });
      const [before, after] = await Promise.all([yesterday, today]);
      for (const operations of partsOf(before, 5000)) await send(url, tenant, { operations });
      const watcher = new Watcher(url, tenant, "tasks", [before]);
      const parts = partsOf(after, size);
      const fields = { sync_mode: "full_refresh", sync_timestamp: at(31), refresh_id };
      const refresh = (part: number, more: object) =>
        send(url, tenant, { ...fields, operations: parts[part], ...more });
      return { databaseUrl, tenant, watcher, refresh, before, after, lastPart: parts.length - 1 };
    }

    /** Sends the last batch; clients may see either version during it and only the new one after. */
    async function finish({
      watcher,
      refresh,
      before,
      after,
      lastPart,
    }: Awaited<ReturnType<typeof startLoaded>>) {
      watcher.expect(before, after);
      const answer = await refresh(lastPart, { expected_operations: 12_000 });
      watcher.expect(after);
      await watcher.stop();
      assert.deepEqual(
        answer.changes,
        changes({ created: 7000, updated: 2500, unchanged: 2500, cleared: 5000 }),
      );
      assert.deepEqual(answer.digests, { tasks: after.digest });
      assert.ok(watcher.seen.get("yesterday")! >= 8 && watcher.seen.get("today")! >= 4);
      return answer;
    }

    test("in three parts shows either the old version or the new one", async (t) => {
      const loaded = await startLoaded(t, 4000);
      for (const part of [0, 1]) {
        const { status, refresh, changes: none } = await loaded.refresh(part, { last_batch: false });
        assert.equal(status, "staged");
        assert.deepEqual(refresh, { refresh_id: null, operations: 4000 * (part + 1), batches: part + 1 });
        assert.deepEqual(none, changes({}));
        await loaded.watcher.look();
      }
      const { refresh, results } = await finish(loaded);
      assert.deepEqual(refresh, { refresh_id: null, operations: 12_000, batches: 3 });
      assert.deepEqual(results, { upserted: 4000, deleted: 0, failed: 0 });
    });

    test("with parts in parallel, and some of them twice, has the same result", async (t) => {
      const loaded = await startLoaded(t, 2500, "p");
      await Promise.all([3, 1, 0, 1, 2, 3].map((part) => loaded.refresh(part, { last_batch: false })));
      const { refresh } = await finish(loaded);
      assert.deepEqual(refresh, { refresh_id: "p", operations: 12_000, batches: 5 });
      const storage = await openStorage(loaded.databaseUrl);
      whenDone(t, () => storage.close());
      const stored = await readRecords(storage, loaded.tenant.storeId);
      assert.deepEqual(
        new Map(stored.map(({ id, content }) => [id, (content as { data: object }).data])),
        loaded.after.data,
      );
    });
  });
}

describe("a staged refresh", () => {
  test("shows its parts only in the lists of refreshes and syncs", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 10) });
    const before = await Promise.all([refresher.get("/namespaces"), refresher.contents()]);
    refresher.server.clock.now += 1000;
    await refresher.stage([...upserts(5, 15, { v: 1 }), remove("r0")], { namespaces: ["new"] });
    const [namespaces, contents] = await Promise.all([refresher.get("/namespaces"), refresher.contents()]);
    const shown = ({ body }: typeof namespaces) =>
      body.data.map(({ namespace, records, digest }: NamespaceObject) => ({ namespace, records, digest }));
    assert.deepEqual(shown(namespaces), shown(before[0]));
    assert.deepEqual(contents, before[1]);
    assert.deepEqual(await refresher.existing("tasks", ["r0", "r9", "r10"]), ["r0", "r9"]);
    assert.equal((await refresher.get("/record?namespace=tasks&id=r10")).status, 404);
    const store = await refresher.call("GET", `/vector-stores/${refresher.tenant.storeId}`);
    assert.equal(store.body.record_count, 10);
  });

  test("counts a repeated part once, even if its JSON is written differently", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.stage([...upserts(0, 2, { a: 1, b: 2 }), remove("x")]);
    const spelled = [
      { namespace: "tasks", data: { b: 2.0, a: 1 }, action: "upsert", id: "r0" },
      { data: { b: 2, a: 1 }, namespace: "tasks", id: "r1", action: "upsert" },
      { id: "x", action: "delete", namespace: "tasks", data: { ignored: true } },
    ];
    const repeated = await refresher.stage(spelled);
    assert.deepEqual(repeated.body.refresh, { refresh_id: null, operations: 3, batches: 1 });
    const different = await refresher.stage([...upserts(0, 2, { a: 1, b: 3 }), remove("x")]);
    assert.deepEqual(different.body.refresh, { refresh_id: null, operations: 6, batches: 2 });
    // The last batch may repeat an earlier part, because a client may have missed the answer.
    const last = await refresher.refresh({ operations: spelled, expected_operations: 6 });
    assert.deepEqual(last.body.refresh, { refresh_id: null, operations: 6, batches: 2 });
    assert.deepEqual(last.body.changes, changes({ created: 2, absent: 1, superseded: 3 }));
    assert.deepEqual(await refresher.contents(), { r0: { a: 1, b: 3 }, r1: { a: 1, b: 3 } });
  });

  test("takes a record that two parts name from the part that was committed later", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 4, { v: 0 }) });
    await refresher.stage([...upserts(0, 3, { v: 1 }), remove("r3")]);
    await refresher.stage([remove("r0"), ...upserts(1, 2, { v: 2 }), ...upserts(3, 4, { v: 0 })]);
    const last = await refresher.refresh({ operations: [...upserts(0, 1, { v: 3 }), remove("r2")] });
    assert.deepEqual(last.body.changes, changes({ updated: 2, unchanged: 1, removed: 1, superseded: 5 }));
    assert.deepEqual(await refresher.contents(), { r0: { v: 3 }, r1: { v: 2 }, r3: { v: 0 } });
  });

  test("yields to newer incremental syncs that arrive between its parts", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 6, { v: 0 }) });
    await refresher.stage(upserts(0, 8, { v: 1 }));
    // The newer sync updates, deletes, and creates a record of the run and a record outside the run.
    await refresher.sync({
      sync_timestamp: at(32),
      operations: [...upserts(0, 1, { v: 2 }), remove("r1"), ...upserts(6, 7, { v: 2 }), ...upserts(20, 21)],
    });
    // The older sync updates, deletes, and creates a record outside the run.
    await refresher.sync({
      sync_timestamp: at(30),
      operations: [...upserts(2, 3, { v: 1 }), remove("r3"), ...upserts(21, 22)],
    });
    const last = await refresher.refresh({ operations: upserts(1, 2, { v: 1 }) });
    assert.deepEqual(
      last.body.changes,
      changes({ created: 2, updated: 2, unchanged: 1, stale: 3, superseded: 1, cleared: 1 }),
    );
    const expected = { r0: 2, r2: 1, r3: 1, r4: 1, r5: 1, r6: 2, r7: 1 };
    const contents = Object.fromEntries(Object.entries(expected).map(([id, v]) => [id, { v }]));
    assert.deepEqual(await refresher.contents(), { ...contents, r20: {} });
    assert.equal(
      last.body.digests.tasks,
      await digestOf(Object.entries({ ...contents, r20: {} }).map(([id, data]) => ({ id, data }))),
    );
  });

  test("refreshes the namespaces of all its parts, and empties those without records", async (t) => {
    const refresher = await startRefresher(t);
    const names = ["a", "b", "c", "d"];
    await refresher.sync({ operations: names.flatMap((name) => upserts(0, 3, {}, name)) });
    await refresher.stage(upserts(0, 1, {}, "a"), { namespaces: ["b"] });
    const last = await refresher.refresh({ operations: [], namespaces: ["c"] });
    assert.deepEqual(last.body.changes, changes({ unchanged: 1, cleared: 8 }));
    const none = { upserted: 0, deleted: 0, failed: 0 };
    assert.deepEqual(last.body.by_namespace, { a: none, b: none, c: none });
    assert.deepEqual(Object.keys(last.body.digests).sort(), ["a", "b", "c"]);
    const left = await Promise.all(names.map(async (name) => Object.keys(await refresher.contents(name))));
    assert.deepEqual(left, [["r0"], [], [], ["r0", "r1", "r2"]]);
  });

  test("rewrites no unchanged record", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.sync({ operations: upserts(0, 200, { text: "as it was" }) });
    const { contents, index_queue } = (await refresher.rows()) as Record<string, string[]>;
    await refresher.stage(upserts(0, 100, { text: "as it was" }));
    const last = await refresher.refresh({ operations: upserts(100, 200, { text: "as it was" }) });
    assert.deepEqual(last.body.changes, changes({ unchanged: 200 }));
    await refresher.runMaintenance();
    const after = (await refresher.rows()) as Record<string, string[]>;
    assert.deepEqual([after.contents, after.index_queue], [contents, index_queue]);
  });

  test("rejects fields of a staged refresh in other requests", async (t) => {
    const { refresh, sync, rows } = await startRefresher(t);
    const before = await rows();
    const wrong: [fields: Record<string, unknown>, field: string, code: string][] = [
      [{ sync_mode: "incremental", last_batch: false }, "last_batch", "NOT_ALLOWED"],
      [{ sync_mode: "incremental", refresh_id: "a" }, "refresh_id", "NOT_ALLOWED"],
      [{ sync_mode: "incremental", expected_operations: 1 }, "expected_operations", "NOT_ALLOWED"],
      [{ last_batch: false, expected_operations: 1 }, "expected_operations", "NOT_ALLOWED"],
      [{ last_batch: false, removal_limit: 1 }, "removal_limit", "NOT_ALLOWED"],
      [{ last_batch: false, dry_run: true }, "dry_run", "NOT_ALLOWED"],
      [{ last_batch: "false" }, "last_batch", "INVALID_TYPE"],
      [{ refresh_id: "" }, "refresh_id", "TOO_SHORT"],
      [{ refresh_id: "é".repeat(65) }, "refresh_id", "TOO_LONG"],
      [{ expected_operations: -1 }, "expected_operations", "TOO_SMALL"],
      [{ expected_operations: 1.5 }, "expected_operations", "INVALID_TYPE"],
    ];
    for (const [fields, field, code] of wrong) {
      assertFieldError(await refresh({ operations: upserts(0, 1), ...fields }), field, code);
    }
    assert.deepEqual(await rows(), before);
    assert.equal((await refresh({ refresh_id: "é".repeat(64), operations: [] })).status, 200);
    assert.equal((await sync({ last_batch: true, operations: [] })).status, 200);
  });

  test("that is older than its namespace's last refresh is rejected at its first part", async (t) => {
    const refresher = await startRefresher(t);
    await refresher.refresh({ sync_timestamp: at(40), operations: upserts(0, 2) });
    const before = await refresher.rows();
    const details = assertError(
      await refresher.refresh({ last_batch: false, operations: upserts(0, 1) }),
      "STALE_SYNC",
    );
    assert.deepEqual(details, {
      sync_timestamp: at(31),
      namespaces: [{ namespace: "tasks", last_refresh_at: at(40) }],
    });
    assert.deepEqual(await refresher.rows(), before);
  });
});
