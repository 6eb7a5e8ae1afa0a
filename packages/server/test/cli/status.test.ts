import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { describe, test } from "node:test";
import { engines } from "../engines.ts";
import { cleanEnvironment, runTidemark, TIDEMARK } from "../server-process.ts";
import { openTestLedger } from "../test-ledger.ts";
import { whenDone } from "../when-done.ts";

const upsert = (id: string, namespace = "tasks") => ({ action: "upsert", id, namespace });

for (const engine of engines) {
  describe(`${engine.name}: tidemark status`, () => {
    test("shows stores, namespaces, counts, the last sync and runs in progress", async (t) => {
      const { databaseUrl, clock, createStore, commands } = await openTestLedger(t, engine);
      const [one, two] = [await createStore(), await createStore()];
      const received = new Date(clock.now).toISOString();
      await one.sync({ operations: [upsert("a", "spaces"), upsert("b")] });
      await one.sync({
        sync_mode: "full_refresh",
        sync_timestamp: "2025-11-11T10:31:00Z",
        operations: [upsert("b"), upsert("c")],
      });
      clock.now += 60_000;
      const last = await one.sync({
        sync_mode: "full_refresh",
        sync_timestamp: "2025-11-11T10:32:00Z",
        last_batch: false,
        operations: [upsert("d"), upsert("e")],
      });
      const now = new Date(clock.now).toISOString();
      const settings = { TIDEMARK_DATABASE_URL: databaseUrl };
      const { data: runs } = await commands.listRefreshes(one.organizationId, one.storeId, {}, null);

      const { code, stdout, stderr } = await runTidemark(["status"], settings);
      assert.deepEqual([code, stderr], [0, ""]);
      const stores = stdout
        .trimEnd()
        .split("\n\n")
        .map((text) => text.split("\n"));
      const empty = stores.find(([line]) => line!.includes(two.storeId))!;
      assert.deepEqual(empty, [
        `Test store (${two.storeId}) of Test organization (${two.organizationId})`,
        "  0 records in 0 namespaces",
        "  index: nothing to index yet",
      ]);
      const full = stores.find(([line]) => line!.includes(one.storeId))!;
      assert.match(full.pop()!, /^ {2}index: 5 pending for \d+ days, not built yet$/);
      assert.deepEqual(full.slice(1), [
        "  3 records in 2 namespaces",
        `    spaces          1  synced ${received}`,
        `    tasks           2  synced ${now}, last full refresh of 2025-11-11T10:31:00Z`,
        `  last sync: ${last.sync_id}, full_refresh, staged, ${now}: no changes`,
        `  refresh in progress: ${runs[0]!.id} of ${one.connectorId}, 2 operations in 1 parts, last part ${now}`,
      ]);

      const json = await runTidemark(["status", "--json", "--store", one.storeId], settings);
      const { organizationId, storeId } = one;
      assert.deepEqual(JSON.parse(json.stdout), [
        {
          organization: { id: organizationId, name: "Test organization" },
          vector_store: { id: storeId, name: "Test store", record_count: 3 },
          namespaces: (await commands.listNamespaces(organizationId, storeId, {})).data,
          last_sync: await commands.getSync(organizationId, storeId, last.sync_id!, null),
          refreshes: runs,
          index: {
            vector_store_id: storeId,
            pending: 5,
            failed: 0,
            oldest_pending_at: received,
            builds: [],
          },
        },
      ]);
    });

    test("prints what the last sync changed", async (t) => {
      const { databaseUrl, createStore } = await openTestLedger(t, engine);
      const { sync } = await createStore();
      const { sync_id } = await sync({
        operations: [upsert("a"), upsert("a"), { ...upsert("b"), action: "delete" }],
      });
      const { stdout } = await runTidemark(["status"], { TIDEMARK_DATABASE_URL: databaseUrl });
      const line = new RegExp(
        `last sync: ${sync_id}, incremental, success, .*: 1 created, 1 absent, 1 superseded$`,
        "m",
      );
      assert.match(stdout, line);
    });

    test("with --watch prints the status repeatedly", async (t) => {
      const { databaseUrl, createStore } = await openTestLedger(t, engine);
      const { sync } = await createStore();
      const env = cleanEnvironment({ TIDEMARK_DATABASE_URL: databaseUrl });
      const child = spawn(process.execPath, [TIDEMARK, "status", "--watch", "--json"], {
        env,
        stdio: ["ignore", "pipe", "inherit"],
      });
      whenDone(t, () => child.kill("SIGKILL"));
      const exited = once(child, "exit");
      const counts: number[] = [];
      for await (const line of createInterface(child.stdout)) {
        counts.push(JSON.parse(line)[0].vector_store.record_count);
        if (counts.length === 2) break;
        await sync({ operations: [upsert("a")] });
      }
      assert.deepEqual(counts, [0, 1]);
      child.kill("SIGTERM");
      await exited;
    });

    test("reports an empty database and a missing store", async (t) => {
      const databaseUrl = await engine.createDatabase(t);
      const settings = { TIDEMARK_DATABASE_URL: databaseUrl };
      const none = await runTidemark(["status"], settings);
      assert.deepEqual([none.code, none.stdout], [0, "There is no vector store yet.\n"]);
      const json = await runTidemark(["status", "--json"], settings);
      assert.deepEqual([json.code, JSON.parse(json.stdout)], [0, []]);
      const unknown = await runTidemark(["status", "--store", "vs_unknown"], settings);
      assert.equal(unknown.code, 1);
      assert.match(unknown.stderr, /^tidemark: .*vs_unknown.*\n$/);
    });
  });
}
