import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { createRoleKey, indexAll } from "../../server/test/test-server.ts";
import { digestOf, newRun, type Progress, type SourceRecord, TidemarkError } from "../src/public.ts";
import { failingAfter, records, startStore } from "./store.ts";

const refresh = { mode: "full_refresh", namespace: "tasks" } as const;
const incremental = { mode: "incremental", namespace: "tasks" } as const;

/** Whether an error has this code. */
const isCode = (code: string) => (error: unknown) => error instanceof TidemarkError && error.code === code;

describe("an incremental syncAll", () => {
  test("sends changes and deletes in batches, and adds the answers up", async (t) => {
    const { tidemark, contents } = await startStore(t);
    await tidemark.syncAll(records(0, 7), incremental);
    const changed: SourceRecord[] = [
      ...records(0, 2),
      { id: "r2", data: { n: "two" } },
      { id: "r3", action: "delete" },
      { id: "nobody", action: "delete" },
      { id: "r9", namespace: "others" },
    ];
    const result = await tidemark.syncAll(changed, { ...incremental, batchOperations: 4 });
    assert.equal(result.operations, 6);
    assert.equal(result.requests, 2);
    const { created, updated, unchanged, removed, absent } = result.changes;
    assert.deepEqual([created, updated, unchanged, removed, absent], [1, 1, 2, 1, 1]);
    assert.deepEqual(Object.keys(await contents()), ["r0", "r1", "r2", "r4", "r5", "r6"]);
    assert.deepEqual(Object.keys(await contents("others")), ["r9"]);
    assert.equal(result.inSync, undefined, "it holds more than what changed");
  });

  test("is in sync if its records are the whole namespace, apart from its deletes", async (t) => {
    const { tidemark } = await startStore(t);
    await tidemark.syncAll(records(5, 12), incremental);
    const all = records(0, 10);
    const deleted = ["r10", "r11"].map((id): SourceRecord => ({ id, action: "delete", data: { id } }));
    const result = await tidemark.syncAll([...all, ...deleted], { ...incremental, batchOperations: 3 });
    const digest = await digestOf(all);
    assert.deepEqual(result.digests, { tasks: { source: digest, server: digest } });
    assert.equal(result.inSync, true);
  });

  test("keeps the last state of a repeated record, even if the same batch is repeated", async (t) => {
    const { tidemark, contents } = await startStore(t);
    const versions = [{ v: 1 }, { v: 2 }, { v: 1 }].map((data) => ({ id: "a", data }));
    const result = await tidemark.syncAll(versions, { ...incremental, batchOperations: 1 });
    assert.deepEqual(await contents(), { a: { v: 1 } });
    assert.equal(result.changes.updated, 2);
  });

  test("accepts no records", async (t) => {
    const { tidemark } = await startStore(t);
    const result = await tidemark.syncAll([], incremental);
    assert.deepEqual([result.operations, result.requests, result.changes.created], [0, 0, 0]);
    assert.equal(result.sync_id, null);
  });

  test("leaves invalid records out on request, and reports them", async (t) => {
    const { tidemark, contents } = await startStore(t);
    const some: SourceRecord[] = [...records(0, 3), { id: "bad", created_at: "2024-02-30T00:00:00Z" }];
    const abort = tidemark.syncAll(some, { ...incremental, batchOperations: 2 });
    await assert.rejects(abort, (error: TidemarkError) => {
      assert.ok(error.is("VALIDATION_ERROR"));
      assert.equal(error.details.errors[0]!.field, "operations[1].created_at");
      return true;
    });
    const result = await tidemark.syncAll(some, { ...incremental, batchOperations: 2, onError: "continue" });
    assert.equal(result.failed, 1);
    assert.deepEqual(
      result.errors.map(({ index, id }) => ({ index, id })),
      [{ index: 3, id: "bad" }],
    );
    assert.deepEqual(Object.keys(await contents()), ["r0", "r1", "r2"]);
  });
});

describe("a full refresh with syncAll", () => {
  test("is one request for one batch, and staged parts that are applied together for more", async (t) => {
    const { tidemark, contents } = await startStore(t);
    const one = await tidemark.syncAll(records(0, 5), refresh);
    assert.deepEqual([one.requests, one.changes.created, one.inSync], [1, 5, true]);

    const seen: number[] = [];
    async function* watched() {
      for (const record of records(3, 12)) {
        seen.push(Object.keys(await contents()).length);
        yield record;
      }
    }
    const progress: Progress[] = [];
    const many = await tidemark.syncAll(watched(), {
      ...refresh,
      batchOperations: 4,
      onProgress: (step) => progress.push(step),
    });
    assert.deepEqual([many.requests, many.operations, many.inSync], [4, 9, true]);
    const { created, unchanged, cleared } = many.changes;
    assert.deepEqual([created, unchanged, cleared], [7, 2, 3]);
    assert.deepEqual(new Set(seen), new Set([5]), "readers see the old namespace until the end");
    assert.deepEqual(
      progress.map(({ phase, operations, requests }) => [phase, operations, requests]),
      [
        ["sending", 0, 0],
        ["sending", 4, 1],
        ["sending", 8, 2],
        ["sending", 9, 3],
        ["applying", 9, 4],
        ["done", 9, 4],
      ],
    );
    assert.equal(progress[0]!.run, many.run);
  });

  test("divides its parts by bytes too", async (t) => {
    const { tidemark } = await startStore(t);
    const text = "x".repeat(400);
    const result = await tidemark.syncAll(records(0, 10, { text }), { ...refresh, batchBytes: 1000 });
    assert.deepEqual([result.requests, result.changes.created], [6, 10]);
  });

  test("empties a namespace whose source is empty, and all namespaces that it names", async (t) => {
    const { tidemark, contents } = await startStore(t);
    await tidemark.syncAll(records(0, 5), refresh);
    await tidemark.syncAll(records(0, 5), { ...refresh, namespace: "others" });
    const result = await tidemark.syncAll([{ id: "only", namespace: "third" }], {
      mode: "full_refresh",
      namespaces: ["tasks", "others"],
    });
    assert.deepEqual([result.changes.cleared, result.changes.created, result.inSync], [10, 1, true]);
    assert.deepEqual([await contents(), await contents("others")], [{}, {}]);
    const nothing = await tidemark.syncAll([], { mode: "full_refresh" });
    assert.match(nothing.warnings[0]!, /affected no namespace/);
  });

  test("cannot remove more than half of a namespace with more than 100 records", async (t) => {
    const { tidemark, contents } = await startStore(t);
    await tidemark.syncAll(records(0, 102), refresh);
    const most = { ...refresh, batchOperations: 20 };
    await assert.rejects(tidemark.syncAll(records(0, 50), most), isCode("REMOVAL_LIMIT_EXCEEDED"));
    assert.equal(Object.keys(await contents()).length, 102);
    assert.equal((await tidemark.syncAll(records(0, 51), most)).changes.cleared, 51);
    // The namespace is small now, and may lose all records.
    assert.equal((await tidemark.syncAll([], most)).changes.cleared, 51);
  });

  test("may empty a small namespace while a large one loses less than half", async (t) => {
    const { tidemark } = await startStore(t);
    const of = (namespace: string, from: number, to: number) =>
      records(from, to).map((record) => ({ ...record, namespace }));
    const both = { mode: "full_refresh", namespaces: ["large", "small"] } as const;
    await tidemark.syncAll([...of("large", 0, 300), ...of("small", 0, 9)], both);
    const result = await tidemark.syncAll(of("large", 0, 160), both);
    assert.equal(result.changes.cleared, 149);
    await assert.rejects(tidemark.syncAll(of("large", 0, 79), both), isCode("REMOVAL_LIMIT_EXCEEDED"));
  });

  test("keeps the given limit", async (t) => {
    const { tidemark } = await startStore(t);
    await tidemark.syncAll(records(0, 10), refresh);
    for (const removalLimit of [0, "10%"] as const) {
      const less = tidemark.syncAll(records(0, 8), { ...refresh, removalLimit });
      await assert.rejects(less, isCode("REMOVAL_LIMIT_EXCEEDED"));
    }
    const result = await tidemark.syncAll(records(0, 8), { ...refresh, removalLimit: "20%" });
    assert.equal(result.changes.cleared, 2);
  });

  test("without a limit empties the namespaces that it names", async (t) => {
    const { tidemark } = await startStore(t);
    await tidemark.syncAll(records(0, 200), refresh);
    const result = await tidemark.syncAll([], { ...refresh, removalLimit: false });
    assert.equal(result.changes.cleared, 200);
  });

  test("counts a repeated batch as the server does", async (t) => {
    const { tidemark, contents } = await startStore(t);
    const page = records(0, 4);
    const again = [...page, ...page, ...records(4, 6)];
    const result = await tidemark.syncAll(again, { ...refresh, batchOperations: 4 });
    assert.equal(Object.keys(await contents()).length, 6);
    assert.equal(result.inSync, undefined, "the digest of records that come twice says nothing");
  });

  test("cannot tell whether it is in sync if a record is repeated", async (t) => {
    const { tidemark } = await startStore(t);
    const twice = [...records(0, 3), { id: "r1", data: { other: true } }];
    const result = await tidemark.syncAll(twice, refresh);
    assert.deepEqual([result.changes.superseded, result.inSync], [1, undefined]);
  });

  test("is not in sync if another pipeline wrote the namespace meanwhile", async (t) => {
    const { tidemark } = await startStore(t);
    async function* interrupted() {
      yield* records(0, 4);
      await tidemark.sync({
        sync_mode: "incremental",
        sync_timestamp: new Date(Date.now() + 1000).toISOString(),
        operations: [{ action: "upsert", id: "newer", namespace: "tasks" }],
      });
    }
    const result = await tidemark.syncAll(interrupted(), refresh);
    assert.equal(result.inSync, false);
    assert.notEqual(result.digests.tasks!.source, result.digests.tasks!.server);
  });
});

describe("the sync_id of syncAll", () => {
  test("is the last sync's, in every mode", async (t) => {
    const { tidemark } = await startStore(t);
    const deleting = { ...incremental, deleteMissing: true, batchOperations: 2 };
    for (const options of [
      { ...incremental, batchOperations: 2 },
      refresh,
      { ...refresh, batchOperations: 2 },
      deleting,
    ]) {
      const { sync_id } = await tidemark.syncAll(records(0, options === deleting ? 3 : 5), options);
      const { data } = await tidemark.listSyncs({ limit: 1 });
      assert.equal(sync_id, data[0]!.id);
    }
  });

  test("lets a search wait for the whole run", async (t) => {
    const { tidemark, client, server, tenant } = await startStore(t);
    const apiKey = await createRoleKey(server.commands, "reader", tenant.organizationId, tenant.storeId);
    const { sync_id } = await tidemark.syncAll(records(0, 6, { title: "zebra" }), {
      ...refresh,
      batchOperations: 2,
    });
    const request = { query: "zebra", after_sync: sync_id!, timeout_ms: 0 };
    const reader = client({ apiKey });
    await assert.rejects(reader.search(request), isCode("INDEX_NOT_READY"));
    await indexAll(server.commands);
    assert.equal((await reader.search(request)).data.length, 6);
  });
});

describe("a resumed run", () => {
  const parts = { ...refresh, batchOperations: 3 };

  test("counts the operations that had arrived only once", async (t) => {
    const { tidemark, client, contents } = await startStore(t);
    const run = newRun();
    const lost = new Error("the source is gone");
    const first = tidemark.syncAll(failingAfter(records(0, 8), lost), { ...parts, run });
    await assert.rejects(first, lost);
    assert.deepEqual(await contents(), {});
    const { data } = await tidemark.listRefreshes();
    assert.deepEqual(
      data.map(({ refresh_id, operations }) => [refresh_id, operations]),
      [[run.refresh_id, 6]],
    );
    const kept = JSON.parse(JSON.stringify(run));
    const result = await client().syncAll(records(0, 10), { ...parts, run: kept });
    assert.deepEqual([result.changes.created, result.inSync], [10, true]);
  });

  test("gets the same answers if it was already applied", async (t) => {
    const { tidemark, client } = await startStore(t);
    const run = newRun();
    const first = await tidemark.syncAll(records(0, 10), { ...parts, run });
    assert.deepEqual(await client().syncAll(records(0, 10), { ...parts, run }), first);
    const changed = { ...incremental, run: newRun(), batchOperations: 3 };
    const once = await tidemark.syncAll(records(5, 15), changed);
    assert.deepEqual([once.changes.created, once.changes.unchanged], [5, 5]);
    assert.deepEqual(await client().syncAll(records(5, 15), changed), once);
  });

  test("with other records is rejected, and changes nothing", async (t) => {
    const { tidemark, contents } = await startStore(t);
    const run = newRun();
    await assert.rejects(tidemark.syncAll(failingAfter(records(0, 8), new Error()), { ...parts, run }));
    const other = tidemark.syncAll(records(1, 10), { ...parts, run });
    await assert.rejects(other, (error: TidemarkError) => {
      assert.ok(error.is("INCOMPLETE_REFRESH"));
      assert.deepEqual(error.details, {
        expected_operations: 9,
        received_operations: 15,
        received_batches: 6,
      });
      return true;
    });
    assert.deepEqual(await contents(), {});
  });

  test("is rejected after a newer refresh was applied", async (t) => {
    const { tidemark } = await startStore(t);
    const run = { sync_timestamp: new Date(Date.now() - 1000).toISOString(), refresh_id: "older" };
    await tidemark.syncAll(records(0, 10), refresh);
    await assert.rejects(tidemark.syncAll(records(0, 10), { ...parts, run }), isCode("STALE_SYNC"));
  });
});

describe("a signal", () => {
  test("ends syncAll between two requests, with nothing applied", async (t) => {
    const { tidemark, contents } = await startStore(t);
    const controller = new AbortController();
    const reason = new Error("enough");
    const options = {
      ...refresh,
      batchOperations: 2,
      signal: controller.signal,
      onProgress: ({ requests }: Progress) => requests === 2 && controller.abort(reason),
    };
    await assert.rejects(tidemark.syncAll(records(0, 10), options), reason);
    assert.deepEqual(await contents(), {});
  });

  test("that was already aborted prevents all requests", async (t) => {
    const { tidemark } = await startStore(t);
    const signal = AbortSignal.abort(new Error("before"));
    await assert.rejects(tidemark.syncAll(records(0, 1), { ...incremental, signal }), /before/);
    assert.deepEqual((await tidemark.listSyncs()).data, []);
  });
});

test("a record that JSON cannot express is rejected by its id, and nothing of its batch is sent", async (t) => {
  const { tidemark, contents } = await startStore(t);
  const bad = [...records(0, 2), { id: "half", data: { share: Number.NaN } }];
  await assert.rejects(tidemark.syncAll(bad, incremental), /Record "half" has NaN/);
  assert.deepEqual(await contents(), {});
});

test("such a record is also rejected if its source is slower than its hash", async (t) => {
  const { tidemark } = await startStore(t);
  async function* slow() {
    yield { id: "half", data: { share: Number.NaN } };
    // A rejection that is unhandled until now would end the process.
    await new Promise(setImmediate);
    yield { id: "whole" };
  }
  await assert.rejects(tidemark.syncAll(slow(), incremental), /Record "half" has NaN/);
  await assert.rejects(digestOf(slow()), /Record "half" has NaN/);
});
