import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { TidemarkError } from "../src/public.ts";
import { records, startStore } from "./store.ts";

const incremental = { mode: "incremental", namespace: "tasks" } as const;

describe("deleteMissing", () => {
  const complete = { ...incremental, deleteMissing: true };

  test("deletes the other records, and is then in sync", async (t) => {
    const { tidemark, contents } = await startStore(t);
    await tidemark.syncAll(records(0, 250), incremental);
    const phases = new Set<string>();
    const kept = records(0, 230, { edited: true });
    const result = await tidemark.syncAll(kept, {
      ...complete,
      batchOperations: 8,
      onProgress: ({ phase }) => phases.add(phase),
    });
    assert.deepEqual([result.changes.updated, result.changes.removed, result.inSync], [230, 20, true]);
    assert.equal(Object.keys(await contents()).length, 230);
    assert.deepEqual([...phases], ["sending", "comparing", "deleting", "done"]);
  });

  test("lists no records if the digests are equal", async (t) => {
    const { tidemark, client } = await startStore(t);
    await tidemark.syncAll(records(0, 20), incremental);
    const asked: string[] = [];
    const counting = client({
      fetch: (input, init) => {
        asked.push(new URL(String(input)).pathname.split("/").at(-1)!);
        return fetch(input, init);
      },
    });
    const result = await counting.syncAll(records(0, 20), complete);
    assert.equal(result.inSync, true);
    assert.deepEqual(asked, ["sync"]);
  });

  test("empties a namespace that no record names, and is in sync if it is already empty", async (t) => {
    const { tidemark, contents } = await startStore(t);
    await tidemark.syncAll(records(0, 3), incremental);
    const both = { ...complete, namespaces: ["nothing"] };
    const emptied = await tidemark.syncAll([], both);
    assert.deepEqual([emptied.changes.removed, emptied.inSync], [3, true]);
    assert.deepEqual(await contents(), {});
    const again = await tidemark.syncAll([], both);
    assert.deepEqual([again.requests, again.sync_id, again.inSync], [0, null, true]);
  });

  test("empties a namespace of at most 100 records, but not a larger one", async (t) => {
    const { tidemark, contents } = await startStore(t);
    await tidemark.syncAll(records(0, 100), incremental);
    await tidemark.syncAll(records(0, 101), { ...incremental, namespace: "large" });
    const emptied = await tidemark.syncAll([], complete);
    assert.deepEqual([emptied.changes.removed, emptied.inSync], [100, true]);
    await assert.rejects(
      tidemark.syncAll([], { ...complete, namespace: "large" }),
      (error: TidemarkError) => {
        assert.ok(error.is("REMOVAL_LIMIT_EXCEEDED"));
        const lost = { namespace: "large", records: 101, removed: 101, cleared: 0 };
        assert.deepEqual(error.details, { removal_limit: "50%", namespaces: [lost] });
        return true;
      },
    );
    assert.equal(Object.keys(await contents("large")).length, 101);
    for (const removalLimit of [50, "40%"] as const) {
      const half = tidemark.syncAll(records(0, 50), { ...complete, namespace: "large", removalLimit });
      await assert.rejects(
        half,
        (error) => error instanceof TidemarkError && error.is("REMOVAL_LIMIT_EXCEEDED"),
      );
    }
    await tidemark.syncAll([], { ...complete, namespace: "large", removalLimit: false });
    assert.deepEqual(await contents("large"), {});
  });

  test("keeps the records of a newer sync", async (t) => {
    const { tidemark, contents, server } = await startStore(t);
    const run = { sync_timestamp: new Date(server.clock.now - 60_000).toISOString(), refresh_id: "old" };
    await tidemark.syncAll(records(0, 3), { ...incremental, run });
    await tidemark.syncAll(records(7, 8), incremental);
    const result = await tidemark.syncAll(records(0, 2), {
      ...complete,
      run: { ...run, refresh_id: "again" },
    });
    assert.deepEqual(Object.keys(await contents()), ["r0", "r1", "r7"]);
    assert.deepEqual([result.changes.removed, result.changes.stale, result.inSync], [1, 1, undefined]);
  });
});
