import assert from "node:assert/strict";
import { describe, type TestContext, test } from "node:test";
import { Client } from "pg";
import { openStorage } from "../../src/storage/open.ts";
import { readDistribution } from "../../src/storage/postgres/citus.ts";
import { Connections } from "../../src/storage/postgres/connections.ts";
import { migrate } from "../../src/storage/postgres/migrate.ts";
import { readPostgresUrl } from "../../src/storage/postgres/url.ts";
import { postgres } from "../engines.ts";
import { bringUpToDate } from "../index-rows.ts";
import { readRecords } from "../model/ledger-rows.ts";
import { postgresUrl } from "../postgres-server.ts";
import { runForObject, runTidemark } from "../server-process.ts";
import { ledgerOver, openTestLedger, sweepAll } from "../test-ledger.ts";
import { whenDone } from "../when-done.ts";

const REFERENCE_TABLES = ["api_keys", "connectors", "organizations", "vector_stores"];
const NEXT_MIGRATION = {
  number: 900_000,
  sql: `ALTER TABLE records ADD COLUMN note text;
    CREATE INDEX records_by_note ON records (store_id, note) WHERE note IS NOT NULL;
    CREATE TABLE notes (store_id text COLLATE "C" NOT NULL, note text NOT NULL, PRIMARY KEY (store_id, note))`,
};

const upsert = (id: string, data: object = {}) => ({ action: "upsert", id, namespace: "tasks", data });

/** Runs work on a connection of its own, with the schema of Tidemark's tables in the search path. */
async function beside<T>(
  databaseUrl: string,
  work: (client: Client, schema: string) => Promise<T>,
): Promise<T> {
  const { connectionString, schema } = readPostgresUrl(databaseUrl);
  const client = new Client({ connectionString });
  await client.connect();
  try {
    await client.query(`SET search_path = "${schema}"`);
    return await work(client, schema);
  } finally {
    await client.end();
  }
}

const hasCitus = await beside(await postgresUrl(), async (client, schema) => {
  const { available } = await readDistribution(client, schema);
  return available;
});

/** Makes a database as if it was created before it had Citus: its tables are only on the coordinator. */
async function createPlainDatabase(t: TestContext): Promise<string> {
  const databaseUrl = await postgres.createDatabase(t);
  await (await openStorage(databaseUrl)).close();
  await beside(databaseUrl, async (client, schema) => {
    const { byStore, everywhere } = await readDistribution(client, schema);
    await client.query("SET citus.multi_shard_modify_mode = 'sequential'");
    await client.query("SET client_min_messages = warning");
    for (const table of byStore) await client.query("SELECT undistribute_table($1::regclass)", [table]);
    // Tables with foreign keys between them must be undistributed together.
    await client.query("SELECT undistribute_table($1::regclass, cascade_via_foreign_keys => true)", [
      everywhere[0],
    ]);
    assert.deepEqual(await readDistribution(client, schema), {
      available: true,
      byStore: [],
      everywhere: [],
    });
  });
  return databaseUrl;
}

const distribution = (databaseUrl: string) => beside(databaseUrl, readDistribution);

describe("Citus", { skip: hasCitus ? false : "TEST_POSTGRES_URL names no database with Citus" }, () => {
  test("a new schema is distributed by store, and every node has the small tables", async (t) => {
    const { databaseUrl, storage } = await openTestLedger(t, postgres);
    const { byStore, everywhere } = await distribution(databaseUrl);
    assert.deepEqual(byStore, (await postgres.storeTables(storage)).toSorted());
    assert.deepEqual(everywhere, REFERENCE_TABLES);
    const groups = await beside(databaseUrl, async (client) => {
      const { rows } = await client.query<{ key: string }>(
        `SELECT DISTINCT column_to_column_name(logicalrelid, partkey) || colocationid AS key FROM pg_dist_partition
         WHERE logicalrelid = ANY ($1::regclass[])`,
        [byStore],
      );
      return rows.map(({ key }) => key);
    });
    assert.equal(groups.length, 1, "A store's rows lie together.");
    assert.match(groups[0]!, /^store_id\d/);
  });

  test("every statement of a request goes to one shard", async (t) => {
    const databaseUrl = new URL(await postgres.createDatabase(t));
    databaseUrl.searchParams.set("options", "-c citus.multi_task_query_log_level=error");
    const storage = await openStorage(databaseUrl.href);
    whenDone(t, () => storage.close());
    await assert.rejects(
      storage.countRecords(),
      /multi-task query/,
      "Queries over several shards must fail here.",
    );
    const { commands, clock, createStore } = ledgerOver(storage);
    const store = await createStore();
    const ids = [store.organizationId, store.storeId] as const;
    const refresh = (second: number, fields: object) =>
      store.sync({ sync_mode: "full_refresh", sync_timestamp: `2025-11-11T10:30:0${second}Z`, ...fields });
    await store.sync({ operations: [upsert("a"), { ...upsert("b"), action: "delete" }] }, "key-1");
    await refresh(1, { operations: [upsert("a", { n: 1 })] });
    await refresh(2, { operations: [upsert("b")], last_batch: false });
    await store.sync({ sync_timestamp: "2025-11-11T10:30:03Z", operations: [upsert("b", { n: 2 })] });
    await refresh(2, { operations: [upsert("c")], dry_run: true });
    await refresh(2, { operations: [upsert("c")], removal_limit: 5 });
    await refresh(4, { operations: [upsert("d")], last_batch: false });
    const runs = await commands.listRefreshes(...ids, {}, null);
    await commands.abortRefresh(...ids, runs.data[0]!.id, null);
    assert.deepEqual((await store.checkExists("tasks", ["a", "b", "c"])).existing_ids, ["b", "c"]);
    await commands.listRecords(...ids, { namespace: "tasks" });
    await commands.getRecord(...ids, { namespace: "tasks", id: "c" });
    await commands.listNamespaces(...ids, {});
    const { data: syncs } = await commands.listSyncs(...ids, {}, null);
    await commands.getSync(...ids, syncs[0]!.id, null);
    assert.equal(await store.recordCount(), 2);
    await commands.beginBuild(store.storeId, "{}");
    await bringUpToDate({ commands, clock }, store);
    await commands.beginBuild(store.storeId, "{}", true);
    await bringUpToDate({ commands, clock }, store);
    await commands.findMerge(store.storeId);
    await storage.index.maintainVectors(store.storeId);
    const request = {
      query: "2",
      namespaces: ["tasks"],
      include: ["data" as const],
      after_sync: syncs[0]!.id,
    };
    const results = await commands.search(...ids, request);
    assert.deepEqual(
      results.data.map(({ id }) => id),
      ["b"],
    );
    await commands.countRequest("sync org", 100, 60_000);
    await commands.deleteVectorStore(...ids, 1);
  });

  test("a schema with rows stays on the coordinator until it is distributed, and keeps its rows then", async (t) => {
    const databaseUrl = await createPlainDatabase(t);
    const storage = await openStorage(databaseUrl);
    whenDone(t, () => storage.close());
    assert.deepEqual((await distribution(databaseUrl)).byStore, []);
    const { createStore, clock, commands } = ledgerOver(storage);
    const stores = [await createStore(), await createStore()];
    for (const { sync } of stores) {
      await sync({ operations: [upsert("a"), upsert("b", { n: 1 })] });
      await sync({
        sync_mode: "full_refresh",
        sync_timestamp: "2025-11-11T10:31:00Z",
        operations: [upsert("b")],
        last_batch: false,
      });
    }
    const rows = async () => Promise.all(stores.map(({ storeId }) => readRecords(storage, storeId)));
    const before = await rows();
    assert.deepEqual(
      before.map((records) => records.length),
      [2, 2],
    );

    const settings = { TIDEMARK_DATABASE_URL: databaseUrl };
    const { from, to, distributed } = await runForObject(["migrate", "--citus"], settings);
    assert.equal(from, to);
    const { byStore, everywhere } = await distribution(databaseUrl);
    assert.deepEqual(distributed.toSorted(), [...byStore, ...everywhere].toSorted());
    assert.deepEqual(everywhere, REFERENCE_TABLES);
    assert.deepEqual(byStore, (await postgres.storeTables(storage)).toSorted());
    const again = await runTidemark(["migrate", "--citus"], settings);
    assert.deepEqual([again.code, again.stderr], [0, ""]);
    assert.match(
      again.stdout,
      /^The schema is up to date \(\d+\)\.\nAll tables were already distributed\.\n$/,
    );

    // Connections that were open all the time work too.
    assert.deepEqual(await rows(), before);
    for (const { sync, recordCount } of stores) {
      const { changes } = await sync({
        sync_mode: "full_refresh",
        sync_timestamp: "2025-11-11T10:31:00Z",
        operations: [upsert("c")],
      });
      assert.deepEqual([changes.created, changes.updated, changes.cleared], [1, 1, 1]);
      assert.equal(await recordCount(), 2);
    }
    await sweepAll(storage, clock.now);
    for (const { storeId } of stores) {
      await readRecords(storage, storeId, { swept: true });
      for (const { in_sync } of await commands.verifyStore(storeId)) assert.ok(in_sync);
    }
    const left = await beside(databaseUrl, async (client) => {
      const { rows } = await client.query(
        "SELECT sum(pg_relation_size(t::regclass))::int AS bytes FROM unnest($1::text[]) t",
        [distributed],
      );
      return rows[0].bytes;
    });
    assert.equal(left, 0, "The coordinator keeps no second copy.");
  });

  test("a later migration reaches the shards, and its new tables are distributed too", async (t) => {
    const { databaseUrl, createStore } = await openTestLedger(t, postgres);
    const { sync, storeId } = await createStore();
    await sync({ operations: [upsert("a")] });
    const connections = new Connections({
      ...readPostgresUrl(databaseUrl),
      connections: 1,
      timeoutMs: 10_000,
    });
    whenDone(t, () => connections.close());
    const { distributed } = await migrate(connections, { migrations: [NEXT_MIGRATION] });
    assert.deepEqual(distributed, ["notes"]);
    await beside(databaseUrl, async (client) => {
      await client.query("UPDATE records SET note = 'n' WHERE store_id = $1", [storeId]);
      await client.query("INSERT INTO notes SELECT store_id, note FROM records WHERE store_id = $1", [
        storeId,
      ]);
      const { rows } = await client.query(
        "SELECT note FROM records JOIN notes USING (store_id, note) WHERE store_id = $1",
        [storeId],
      );
      assert.deepEqual(rows, [{ note: "n" }]);
    });
  });
});

test("without Citus, tidemark migrate --citus fails with one line", { skip: hasCitus }, async (t) => {
  const databaseUrl = await postgres.createDatabase(t);
  const { code, stderr } = await runTidemark(["migrate", "--citus"], { TIDEMARK_DATABASE_URL: databaseUrl });
  assert.equal(code, 1);
  assert.match(stderr, /^tidemark: This database has no Citus\. .*\n$/);
});
