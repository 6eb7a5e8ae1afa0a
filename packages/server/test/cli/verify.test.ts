import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { engines, type TestEngine } from "../engines.ts";
import { runTidemark } from "../server-process.ts";
import { openTestLedger } from "../test-ledger.ts";

const upsert = (id: string, namespace = "tasks") => ({ action: "upsert", id, namespace, data: { text: id } });

/** A database with two stores, and a function that runs `tidemark verify` on it. */
async function openStores(t: TestContext, engine: TestEngine) {
  const ledger = await openTestLedger(t, engine);
  const [one, two] = [await ledger.createStore(), await ledger.createStore()];
  await one.sync({ operations: [upsert("a"), upsert("b"), upsert("c", "other")] });
  await two.sync({ operations: [upsert("a"), upsert("b")] });
  const settings = { TIDEMARK_DATABASE_URL: ledger.databaseUrl };
  const verify = (...args: string[]) => runTidemark(["verify", ...args], settings);
  /** Changes rows without the ledger. */
  const tamper = (text: string) => ledger.storage.write((sql) => sql.all(text, [one.storeId]));
  return { ...ledger, one, two, verify, tamper };
}

for (const engine of engines) {
  describe(`${engine.name}: tidemark verify`, () => {
    test("reports every namespace in sync, and exits with 0", async (t) => {
      const { one, two, verify } = await openStores(t, engine);
      const { code, stdout, stderr } = await verify();
      assert.deepEqual([code, stderr], [0, ""]);
      const lines = stdout.trimEnd().split("\n").sort();
      const expected = [
        [one.storeId, "other", "1 records"],
        [one.storeId, "tasks", "2 records"],
        [two.storeId, "tasks", "2 records"],
      ].sort();
      assert.equal(lines.length, 3);
      for (const [index, line] of lines.entries()) {
        const [store, namespace, records, digest, verdict] = line.split("  ");
        assert.deepEqual([store, namespace, records, verdict], [...expected[index]!, "in sync"]);
        assert.match(digest!, /^[0-9a-f]{16}…$/);
      }
    });

    test("finds content that was changed in the database, and exits with 1", async (t) => {
      const { one, two, verify, tamper } = await openStores(t, engine);
      await tamper(
        `UPDATE contents SET content = replace(content, '"text":"b"', '"text":"B"') WHERE store_id = $1`,
      );
      const { code, stdout } = await verify();
      assert.equal(code, 1);
      const verdicts = stdout
        .trimEnd()
        .split("\n")
        .map((line) => line.split("  "));
      for (const [store, namespace, , , verdict] of verdicts) {
        const tampered = store === one.storeId && namespace === "tasks";
        assert.match(verdict!, tampered ? /^NOT IN SYNC/ : /^in sync$/);
      }
      const [store] = JSON.parse((await verify("--json", "--store", one.storeId)).stdout);
      const [other, tasks] = store.namespaces;
      assert.equal(other.in_sync, true);
      assert.deepEqual([tasks.in_sync, tasks.records, tasks.counted_records], [false, 2, 2]);
      assert.notEqual(tasks.digest, tasks.counted_digest);
      assert.equal((await verify("--store", two.storeId)).code, 0);
    });

    test("finds a lost record and an extra record", async (t) => {
      const { one, verify, tamper } = await openStores(t, engine);
      await tamper("DELETE FROM records WHERE store_id = $1 AND id = 'a'");
      const lost = await verify("--store", one.storeId);
      assert.equal(lost.code, 1);
      assert.match(lost.stdout, /tasks {2}2 records .*NOT IN SYNC.*\b1 records/);
      await tamper("UPDATE records SET namespace = 'tasks' WHERE store_id = $1");
      const [store] = JSON.parse((await verify("--json", "--store", one.storeId)).stdout);
      assert.deepEqual(
        store.namespaces.map(({ counted_records }: { counted_records: number }) => counted_records),
        [0, 2],
      );
    });

    test("ignores staged, deleted and unswept rows", async (t) => {
      const { one, verify } = await openStores(t, engine);
      const refresh = { sync_mode: "full_refresh" as const, sync_timestamp: "2025-11-11T10:31:00Z" };
      await one.sync({ ...refresh, operations: [upsert("a"), upsert("z")] });
      await one.sync({ ...refresh, last_batch: false, operations: [upsert("staged")] });
      await one.sync({ ...refresh, refresh_id: "x", last_batch: false, operations: [upsert("a", "new")] });
      await one.sync({ operations: [{ action: "delete", id: "c", namespace: "other" }] });
      const { code, stdout } = await verify("--json", "--store", one.storeId);
      assert.equal(code, 0);
      const counts = JSON.parse(stdout)[0].namespaces.flatMap(
        ({ namespace, counted_records }: { namespace: string; counted_records: number }) =>
          counted_records > 0 ? [[namespace, counted_records]] : [],
      );
      assert.deepEqual(counts, [["tasks", 2]]);
    });

    test("reports a missing store in one line, and exits with 1", async (t) => {
      const { verify } = await openStores(t, engine);
      const { code, stdout, stderr } = await verify("--store", "vs_unknown");
      assert.deepEqual([code, stdout], [1, ""]);
      assert.match(stderr, /^tidemark: .*vs_unknown.*\n$/);
    });
  });
}
