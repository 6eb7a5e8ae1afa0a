import { ulid } from "ulid";
import type { Sql, SqlRow, Storage } from "../storage/port.ts";
import { IS_SERVED, isNoImport } from "../storage/rules.ts";
import { type ExportHeader, ExportWriter, FORMAT, type Position, type Sink, tableColumns } from "./format.ts";
import { type Row, readPages } from "./pages.ts";
import { ACCESS_TABLES, LEDGER_TABLES, SCHEMA, type Table } from "./tables.ts";

export interface ExportOptions {
  /** The one store to export; absent: all. */
  store?: string | undefined;
  version: string;
  now: number;
  /** Goes on with what an earlier run wrote: the header, and these stores, up to a position. */
  resume?: { header: ExportHeader; stores: string[]; position: Position } | undefined;
  /** Called after each page: rows of records and contents that were written, and about how many there are. */
  onProgress?: (done: number, total: number) => void;
}

/** What was exported: stores in all, and rows that were written by this run. */
export interface Exported {
  stores: number;
  rows: number;
}

/**
 * Writes stores with everything that belongs to them: a copy of their rows, the keys of their organizations as hashes.
 * Each store is read from one snapshot.
 * @throws Error if there is no such store
 */
export async function exportStores(
  storage: Storage,
  sink: Sink,
  { store, version, now, resume, onProgress = () => {} }: ExportOptions,
): Promise<Exported> {
  const header = resume?.header ?? (await makeHeader(storage, { store, version, now }));
  const writer = new ExportWriter(sink, resume?.position);
  if (!resume) await writer.header(header);
  const total = await estimate(storage, header.stores);
  const exported: Exported = { stores: header.stores.length, rows: 0 };
  let done = 0;
  const page = async (table: Table, rows: Row[]) => {
    await writer.page(table, rows);
    exported.rows += rows.length;
    if (table.name === "records" || table.name === "contents") done += rows.length;
    onProgress(Math.min(done, total), total);
  };
  for (const id of header.stores) {
    if (resume?.stores.includes(id)) continue;
    await inOneSnapshot(storage, (sql) => exportLedger(sql, id, writer, page));
  }
  await inOneSnapshot(storage, (sql) => exportAccess(sql, header, writer, page));
  await writer.end();
  return exported;
}

/** What the header of an export would be now. @throws Error if there is no such store */
export async function makeHeader(
  storage: Storage,
  { store = null, version, now }: { store?: string | null | undefined; version: string; now: number },
): Promise<ExportHeader> {
  return storage.read(async (sql) => {
    const rows = async (table: string) => {
      const all: Row[] = [];
      const { name, columns, key } = ACCESS_TABLES.find(({ name }) => name === table)!;
      const narrow = { name, key, long: [], columns: { id: columns.id!, created_at: columns.created_at! } };
      for await (const page of readPages(sql, narrow, ACCESS[table]!, store)) all.push(...page);
      return all;
    };
    const stores = (await rows("vector_stores")).map(([id]) => String(id));
    if (store !== null && stores.length === 0) throw new Error(`There is no vector store ${store}.`);
    return {
      tidemark_export: FORMAT,
      schema: SCHEMA,
      export_id: `exp_${ulid(now).toLowerCase()}`,
      version,
      exported_at: new Date(now).toISOString(),
      store,
      tables: tableColumns(),
      organizations: (await rows("organizations")).map(([id, at]) => ({
        id: String(id),
        created_at: Number(at),
      })),
      connectors: (await rows("connectors")).map(([id]) => String(id)),
      stores,
    };
  });
}

/** Which rows of the tables of access belong to the store $1, or to any if $1 is null. */
const STORES = `SELECT s.id FROM vector_stores s
  WHERE ${IS_SERVED} AND (CAST($1 AS TEXT) IS NULL OR s.id = $1)`;
const ORGANIZATIONS = `SELECT s.id FROM organizations s WHERE ${isNoImport("s.id")}
  AND (CAST($1 AS TEXT) IS NULL OR s.id IN (SELECT v.organization_id FROM vector_stores v WHERE v.id = $1))`;
const KEYS = (t: string) => `(${t}.vector_store_id IN (${STORES})
  OR (${t}.vector_store_id IS NULL AND ${t}.organization_id IN (${ORGANIZATIONS})))`;
const ACCESS: Record<string, string> = {
  organizations: `t.id IN (${ORGANIZATIONS})`,
  vector_stores: `t.id IN (${STORES})`,
  connectors: `t.vector_store_id IN (${STORES})`,
  api_keys: KEYS("t"),
  api_key_usage: `t.key_id IN (SELECT k.id FROM api_keys k WHERE ${KEYS("k")})`,
};

type WritePage = (table: Table, rows: Row[]) => Promise<void>;

async function exportLedger(sql: Sql, storeId: string, writer: ExportWriter, page: WritePage): Promise<void> {
  await writer.beginStore(storeId, ulid());
  for (const table of LEDGER_TABLES) {
    for await (const rows of readPages(sql, table, "t.store_id = $1", storeId)) await page(table, rows);
  }
  await writer.endStore(await readRevision(sql, storeId));
}

/** The number of a store's last sync: its ledger is as it was while this is the same. */
export async function readRevision(sql: Sql, storeId: string): Promise<number> {
  const [row] = await sql.all("SELECT revision FROM store_revisions WHERE store_id = $1", [storeId]);
  return Number(row?.revision ?? 0);
}

/** Everything but the ledgers. What was made since the header was written is left out. */
async function exportAccess(
  sql: Sql,
  header: ExportHeader,
  writer: ExportWriter,
  page: WritePage,
): Promise<void> {
  const organizations = new Set(header.organizations.map(({ id }) => id));
  const stores = new Set(header.stores);
  const keys = new Set<string>();
  const missing = new Set(stores);
  const wanted: Record<string, (row: SqlRow) => boolean> = {
    organizations: ({ id }) => organizations.has(String(id)),
    vector_stores: ({ id }) => stores.has(String(id)) && missing.delete(String(id)),
    connectors: ({ vector_store_id }) => stores.has(String(vector_store_id)),
    api_keys: ({ id, organization_id, vector_store_id }) => {
      const store = vector_store_id === null || stores.has(String(vector_store_id));
      const mine = store && organizations.has(String(organization_id));
      if (mine) keys.add(String(id));
      return mine;
    },
    api_key_usage: ({ key_id }) => keys.has(String(key_id)),
  };
  await writer.beginAccess();
  for (const table of ACCESS_TABLES) {
    const columns = Object.keys(table.columns);
    for await (const rows of readPages(sql, table, ACCESS[table.name]!, header.store)) {
      const kept = rows.filter((row) =>
        wanted[table.name]!(Object.fromEntries(columns.map((column, index) => [column, row[index]!]))),
      );
      if (kept.length > 0) await page(table, kept);
    }
  }
  const [gone] = missing;
  if (gone) throw new Error(`The vector store ${gone} was deleted while it was exported. Export again.`);
  await writer.endAccess();
}

/** Rows of records and contents, as the counts of live records let expect. */
async function estimate(storage: Storage, storeIds: string[]): Promise<number> {
  return storage.read(async (sql) => {
    let total = 0;
    for (const id of storeIds) {
      const [row] = await sql.all(
        "SELECT coalesce(sum(records), 0) AS records FROM namespaces WHERE store_id = $1",
        [id],
      );
      total += 2 * Number(row!.records);
    }
    return total;
  });
}

/** Reads from one snapshot, once: what was written cannot be taken back if the database would begin again. */
function inOneSnapshot(storage: Storage, work: (sql: Sql) => Promise<void>): Promise<void> {
  return storage.readSlowly(async (sql) => {
    try {
      await work(sql);
    } catch (error) {
      throw new Error((error as Error).message, { cause: error });
    }
  });
}
