import { ulid } from "ulid";
import type { Sql, SqlRow, Storage } from "../storage/port.ts";
import { IS_SERVED, isNoImport } from "../storage/rules.ts";
import { type ExportHeader, ExportWriter, FORMAT, type Position, type Sink, tableColumns } from "./format.ts";
import { type Row, readPages } from "./pages.ts";
import { ACCESS_TABLES, LEDGER_TABLES, SCHEMA, type Table } from "./tables.ts";

export interface ExportOptions {
  /** The only store to export; absent: all stores. */
  store?: string | undefined;
  version: string;
  now: number;
  /** What an interrupted export wrote, to be continued: its header, and these stores up to a position. */
  resume?: { header: ExportHeader; stores: string[]; position: Position } | undefined;
  /** Called after each page with the rows of records and contents so far, and an estimate of all of them. */
  onProgress?: (done: number, total: number) => void;
}

/** The number of stores in the export, and of rows that this call wrote. */
export interface Exported {
  stores: number;
  rows: number;
}

/**
 * Exports the rows of stores, and their organizations with keys as hashes. It reads each store from one snapshot.
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

/** The header that an export would have now. @throws Error if there is no such store */
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

/** The rows of each access table that belong to the store $1, or to any store if $1 is null. */
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

/** The revision of a store's last sync: while it stays the same, the ledger does too. */
export async function readRevision(sql: Sql, storeId: string): Promise<number> {
  const [row] = await sql.all("SELECT revision FROM store_revisions WHERE store_id = $1", [storeId]);
  return Number(row?.revision ?? 0);
}

/** Exports the access tables, without rows that are newer than the header. */
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
  const belongs: Record<string, (row: SqlRow) => boolean> = {
    organizations: ({ id }) => organizations.has(String(id)),
    vector_stores: ({ id }) => stores.has(String(id)) && missing.delete(String(id)),
    connectors: ({ vector_store_id }) => stores.has(String(vector_store_id)),
    api_keys: ({ id, organization_id, vector_store_id }) => {
      const store = vector_store_id === null || stores.has(String(vector_store_id));
      const exported = store && organizations.has(String(organization_id));
      if (exported) keys.add(String(id));
      return exported;
    },
    api_key_usage: ({ key_id }) => keys.has(String(key_id)),
  };
  await writer.beginAccess();
  for (const table of ACCESS_TABLES) {
    const columns = Object.keys(table.columns);
    for await (const rows of readPages(sql, table, ACCESS[table.name]!, header.store)) {
      const kept = rows.filter((row) =>
        belongs[table.name]!(Object.fromEntries(columns.map((column, index) => [column, row[index]!]))),
      );
      if (kept.length > 0) await page(table, kept);
    }
  }
  const [deleted] = missing;
  if (deleted) throw new Error(`The vector store ${deleted} was deleted during the export. Export again.`);
  await writer.endAccess();
}

/** An estimate of the rows of records and contents: two for each live record. */
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

/** Reads from one snapshot. Wrapping errors prevents a retry, because an export cannot take back what it wrote. */
function inOneSnapshot(storage: Storage, work: (sql: Sql) => Promise<void>): Promise<void> {
  return storage.readSlowly(async (sql) => {
    try {
      await work(sql);
    } catch (error) {
      throw new Error((error as Error).message, { cause: error });
    }
  });
}
