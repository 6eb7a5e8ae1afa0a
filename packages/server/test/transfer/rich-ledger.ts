import type { TestContext } from "node:test";
import type { Commands } from "../../src/commands.ts";
import { openStorage } from "../../src/storage/open.ts";
import type { SqlRow, Storage } from "../../src/storage/port.ts";
import { INDEX_TABLES } from "../../src/storage/store-tables.ts";
import { exportStores } from "../../src/transfer/export.ts";
import { importStores } from "../../src/transfer/import.ts";
import type { TestEngine } from "../engines.ts";
import {
  forgetAll,
  ledgerOver,
  openTestLedger,
  storeOf,
  type TestLedger,
  type TestStore,
} from "../test-ledger.ts";
import { createRoleKey } from "../test-server.ts";
import { whenDone } from "../when-done.ts";

/** Names and values that a move could easily change. */
export const HARD_TEXTS = [
  "line\nbreak\r\u2028\u2029",
  'quote"s and \\back\\slashes $1 ?1',
  "tab\tand \u0001 control",
  "é is not é",
  "😀 astral",
  "",
  "__proto__",
  "null",
  "{}",
];

export const upsert = (id: string, namespace = "tasks", data: object = { text: id }) => ({
  action: "upsert",
  id,
  namespace,
  data,
});
export const remove = (id: string, namespace = "tasks") => ({ action: "delete", id, namespace });

/** The open run that {@link fillStore} leaves. */
export const OPEN_RUN = {
  sync_mode: "full_refresh" as const,
  sync_timestamp: "2025-11-11T10:50:00.000000001Z",
  refresh_id: "unfinished",
};
export const ANSWERED = { operations: [upsert("answered", "replay")] };
export const ANSWERED_KEY = "key of an answered call";

/** Gives a store rows of every kind: in every table, live and deleted, decided by syncs and by refreshes. */
export async function fillStore({ sync }: TestStore, clock: TestLedger["clock"]): Promise<void> {
  await sync({ operations: Array.from({ length: 20 }, (_, index) => upsert(`r${index}`)) });
  await sync({
    sync_timestamp: "2025-11-11T10:31:00.123456789Z",
    operations: HARD_TEXTS.flatMap((text) => [
      upsert(`id ${text}`, `namespace ${text}`, { [text]: text, number: 0.1, deep: [{ "": null }] }),
    ]),
  });
  await sync({
    sync_timestamp: "2025-11-11T10:32:00.987654321Z",
    operations: [upsert("r1", "tasks", { text: "new" }), remove("r2"), remove("never there"), upsert("r3")],
  });
  const refresh = { sync_mode: "full_refresh" as const, sync_timestamp: "2025-11-11T10:33:00Z" };
  await sync({ ...refresh, operations: [upsert("r1"), upsert("r4"), upsert("r30"), remove("r5")] });
  const staged = { ...refresh, sync_timestamp: "2025-11-11T10:34:00Z", refresh_id: "in two parts" };
  await sync({ ...staged, last_batch: false, operations: [upsert("r1"), upsert("r31")] });
  await sync({ ...staged, operations: [upsert("r32")], expected_operations: 3 });
  await sync({
    sync_timestamp: "2025-11-11T10:55:00Z",
    operations: [upsert("later"), remove("r31"), upsert("zz"), remove("r31", "past")],
  });
  clock.now += 1000;
  await sync({
    ...OPEN_RUN,
    last_batch: false,
    on_error: "continue",
    operations: [
      upsert("r1"),
      upsert("r40"),
      upsert("later"),
      { ...upsert("bad"), created_at: "2024-02-30T00:00:00Z" },
    ],
  });
  await sync({ ...OPEN_RUN, last_batch: false, operations: [upsert("o1", "other"), remove("r32")] });
  await sync(ANSWERED, ANSWERED_KEY);
  await sync({ operations: [] });
}

export interface RichLedger extends TestLedger {
  engine: TestEngine;
  one: TestStore;
  two: TestStore;
  /** The admin key of the first store's organization. */
  admin: string;
}

/** A database with two stores of two organizations, each with rows of every kind. */
export async function openRichLedger(t: TestContext, engine: TestEngine): Promise<RichLedger> {
  const ledger = await openTestLedger(t, engine, { quick: true });
  const { commands, clock } = ledger;
  const [one, two] = [await ledger.createStore(), await ledger.createStore()];
  await fillStore(one, clock);
  await two.sync({ operations: [upsert("a"), remove("b")] });
  const admin = await createRoleKey(commands, "admin", one.organizationId);
  await createRoleKey(commands, "reader", one.organizationId, one.storeId);
  const { organizationId, storeId } = one;
  const other = { name: "Another", storeId };
  const gone = await commands.createConnector(organizationId, other, clock.now);
  await commands.deleteConnector(organizationId, gone.id, clock.now + 5);
  await commands.updateVectorStore(organizationId, storeId, { description: "It's “described”" }, 7);
  const keys = await commands.listKeys(organizationId, {});
  await commands.noteKeyUse([[keys.data[0]!.id, clock.now + 9]]);
  const deleted = await commands.createVectorStore(organizationId, { name: "Deleted" }, clock.now);
  await commands.deleteVectorStore(organizationId, deleted.id, clock.now);
  return { ...ledger, engine, one, two, admin };
}

/** Purges some tombstones, so that a namespace remembers the newest one. */
export async function purgeTombstones({ storage, clock }: TestLedger): Promise<void> {
  await forgetAll(storage, { tombstones: clock.now });
}

/** An export as one buffer. */
export async function exportToBuffer(storage: Storage, store?: string): Promise<Buffer> {
  const parts: string[] = [];
  await exportStores(storage, async (text) => void parts.push(text), { store, version: "test", now: 1 });
  return Buffer.from(parts.join(""));
}

/** Yields bytes in pieces that end anywhere. */
export async function* inPieces(bytes: Uint8Array, size = 1000): AsyncGenerator<Buffer> {
  for (let start = 0; start < bytes.length; start += size)
    yield Buffer.from(bytes.subarray(start, start + size));
}

export interface Target extends Omit<TestLedger, "createStore"> {
  engine: TestEngine;
  import(bytes: Uint8Array): ReturnType<typeof importStores>;
  storeOf(store: TestStore): TestStore;
}

/** An empty database to import into. */
export async function openTarget(t: TestContext, engine: TestEngine): Promise<Target> {
  const databaseUrl = await engine.createDatabase(t, { quick: true });
  const storage = await openStorage(databaseUrl);
  whenDone(t, () => storage.close());
  const ledger = ledgerOver(storage);
  return {
    ...ledger,
    databaseUrl,
    engine,
    import: (bytes) => importStores(storage, inPieces(bytes), 1),
    storeOf: ({ organizationId, storeId, connectorId, key }) =>
      storeOf(ledger.commands, { organizationId, storeId, connectorId, key }),
  };
}

/** The columns of every table, read from the database. */
export async function readColumns({ engine, storage }: Pick<Target, "engine" | "storage">) {
  const text =
    engine.name === "SQLite"
      ? `SELECT t.name AS table_name, c.name AS column_name FROM sqlite_schema t JOIN pragma_table_info(t.name) c
         WHERE t.type = 'table'`
      : `SELECT table_name, column_name FROM information_schema.columns WHERE table_schema = current_schema()`;
  const tables = new Map<string, string[]>();
  for (const { table_name, column_name } of await storage.read((sql) => sql.all(text))) {
    const columns = tables.get(String(table_name)) ?? [];
    tables.set(String(table_name), [...columns, String(column_name)].sort());
  }
  return tables;
}

/**
 * The tables and columns of the index, which an import does not move but rebuilds.
 */
export const NOT_LEDGER = [...INDEX_TABLES.map(([name]) => name), "vector_codes"];
export const isOfIndex = (table: string, column: string): boolean =>
  table === "records" && column === "indexed";

/** Every row of a store in every ledger table of the database, all values as text. */
export async function readStoreRows(
  database: Pick<Target, "engine" | "storage">,
  { storeId, organizationId }: TestStore,
): Promise<Record<string, SqlRow[]>> {
  const mine: Record<string, string> = {
    organizations: "id = $2 AND $1 <> ''",
    vector_stores: "id = $1 AND $2 <> ''",
    connectors: "vector_store_id = $1 AND $2 <> ''",
    api_keys: "vector_store_id = $1 OR (vector_store_id IS NULL AND organization_id = $2)",
    api_key_usage: `key_id IN (SELECT id FROM api_keys WHERE vector_store_id = $1
      OR (vector_store_id IS NULL AND organization_id = $2))`,
  };
  const rows: Record<string, SqlRow[]> = {};
  for (const [table, all] of await readColumns(database)) {
    if (NOT_LEDGER.includes(table)) continue;
    const columns = all.filter((column) => !isOfIndex(table, column));
    const where = columns.includes("store_id") ? "store_id = $1 AND $2 <> ''" : mine[table];
    if (!where) continue;
    const values = columns.map((column) => `CAST(${column} AS TEXT) AS ${column}`).join(", ");
    const found = await database.storage.read((sql) =>
      sql.all(`SELECT ${values} FROM ${table} WHERE ${where}`, [storeId, organizationId]),
    );
    const text = (row: SqlRow) => JSON.stringify(columns.map((column) => row[column]));
    rows[table] = found.map((row) => ({ ...row })).sort((a, b) => (text(a) < text(b) ? -1 : 1));
  }
  return rows;
}

/** The answers to all that a caller can ask about a store. */
export async function readAnswers(commands: Commands, store: TestStore): Promise<unknown> {
  const of = [store.organizationId, store.storeId] as const;
  const page = { limit: 100 };
  const namespaces = await commands.listNamespaces(...of, page);
  const records: unknown[] = [];
  const exists: unknown[] = [];
  const ids = Array.from({ length: 41 }, (_, index) => `r${index}`);
  for (const { namespace } of namespaces.data) {
    records.push(await commands.listRecords(...of, { namespace, ...page }));
    exists.push(
      await store.checkExists(namespace, [...ids, ...HARD_TEXTS.map((text) => `id ${text}`), "later"]),
    );
  }
  const answers = {
    namespaces,
    records,
    exists,
    syncs: await commands.listSyncs(...of, page, null),
    refreshes: await commands.listRefreshes(...of, page, null),
    verified: await commands.verifyStore(store.storeId),
    store: await commands.getVectorStore(...of),
    connectors: await commands.listConnectors(store.organizationId, page),
    identity: await commands.identify(store.key, 0),
  };
  // The progress of the index differs between databases.
  return JSON.parse(JSON.stringify(answers, (key, value) => (key === "indexing" ? undefined : value)));
}
