import type { Sql, SqlValue, Storage } from "../storage/port.ts";
import { type ExportHeader, readExport } from "./format.ts";
import { insertRows, type Row } from "./pages.ts";
import { ACCESS_TABLES, LEDGER_TABLES, type Table } from "./tables.ts";
import { beginStore, findBegun, findRows, mustBeSame, waitingRoom } from "./unfinished.ts";

/** What was imported. */
export interface Imported {
  exportId: string;
  stores: number;
  /** Rows that this import wrote. */
  rows: number;
  /** Rows that an interrupted import wrote before. */
  skipped: number;
}

/** Rows that take effect when they are written, so the last transaction writes them. They are few. */
interface HeldBack {
  /** By table. */
  access: Map<string, Row[]>;
  revisions: { storeId: string; row: Row }[];
  /** Open runs, which could expire during the import. */
  openRuns: { storeId: string; row: Row }[];
  /** Where the sweep of a namespace continues. */
  sweeps: { storeId: string; namespace: SqlValue; from: SqlValue }[];
}

const tableOf = (tables: Table[], name: string) => tables.find((table) => table.name === name)!;
const columnOf = (table: Table, name: string) => Object.keys(table.columns).indexOf(name);

const NAMESPACES = tableOf(LEDGER_TABLES, "namespaces");
const RUNS = tableOf(LEDGER_TABLES, "refresh_runs");
const RECORDS = tableOf(LEDGER_TABLES, "records");
const QUEUE: Table = {
  name: "index_queue",
  columns: { version: "number", namespace: "text", id: "text", queued_at: "number" },
  key: ["version"],
  long: [],
};
const REVISIONS = tableOf(LEDGER_TABLES, "store_revisions");

/**
 * Imports an export, one transaction per page. The last transaction, after the whole file was checked, makes the stores
 * visible to callers. Repeating an interrupted import continues it.
 * @param source the bytes of the export
 * @param onProgress called after each page with the rows so far
 * @throws Error if something in the export already exists, or that names the damaged line
 */
export async function importStores(
  storage: Storage,
  source: AsyncIterable<Buffer>,
  now: number,
  onProgress: (rows: number) => void = () => {},
): Promise<Imported> {
  const held: HeldBack = { access: new Map(), revisions: [], openRuns: [], sweeps: [] };
  const imported = { rows: 0, skipped: 0 };
  let header: ExportHeader | undefined;
  let begun = new Map<string, string>();
  let storeId: string | undefined;
  for await (const event of readExport(source)) {
    if (event.type === "header") {
      header = event.header;
      begun = await storage.read((sql) => findBegun(sql, event.header));
    } else if (event.type === "store") {
      storeId = event.id;
      const snapshot = begun.get(storeId);
      if (snapshot === undefined) await beginStore(storage, header!, event, now);
      else if (snapshot !== event.snapshot) throw new Error(describeOtherSnapshot(header!, storeId));
    } else if (event.type === "storeEnd") {
      storeId = undefined;
    } else if (event.type === "page") {
      const { table } = event;
      if (storeId === undefined) {
        held.access.set(table.name, [...(held.access.get(table.name) ?? []), ...event.rows]);
      } else {
        const rows = holdBack(table, storeId, event.rows, held);
        const written = await writePage(storage, table, storeId, rows, begun.has(storeId));
        imported[written ? "rows" : "skipped"] += event.rows.length;
        onProgress(imported.rows + imported.skipped);
      }
    }
  }
  await storage.write((sql) => finish(sql, header!, held));
  return { exportId: header!.export_id, stores: header!.stores.length, ...imported };
}

/** Rows of two snapshots must not be mixed. */
const describeOtherSnapshot = ({ export_id }: ExportHeader, storeId: string) =>
  `An unfinished import of ${storeId} began with an earlier state of this file. Run tidemark import --discard ${export_id}, then import again.`;

/** Moves rows that must wait from a page to `held`. @returns the rows to write now */
function holdBack(table: Table, storeId: string, rows: Row[], held: HeldBack): Row[] {
  if (table === REVISIONS) {
    held.revisions.push(...rows.map((row) => ({ storeId, row })));
    return [];
  }
  if (table === RUNS) {
    const state = columnOf(RUNS, "state");
    const open = rows.filter((row) => row[state] === "open");
    held.openRuns.push(...open.map((row) => ({ storeId, row })));
    return rows.filter((row) => row[state] !== "open");
  }
  if (table === NAMESPACES) {
    const sweepFrom = columnOf(NAMESPACES, "sweep_from");
    return rows.map((row) => {
      if (row[sweepFrom] === null) return row;
      held.sweeps.push({ storeId, namespace: row[0]!, from: row[sweepFrom]! });
      return row.with(sweepFrom, null);
    });
  }
  return rows;
}

/** Writes a page in one transaction. @returns false if its last row exists, because an earlier import wrote it */
async function writePage(
  storage: Storage,
  table: Table,
  storeId: string,
  rows: Row[],
  mayExist: boolean,
): Promise<boolean> {
  const last = rows.at(-1);
  if (!last) return true;
  if (mayExist) {
    const key = table.key.map((column) => last[columnOf(table, column)]!);
    const where = table.key.map((column, index) => `${column} = $${index + 2}`).join(" AND ");
    const existing = await storage.read((sql) =>
      sql.all(`SELECT 1 FROM ${table.name} WHERE store_id = $1 AND ${where}`, [storeId, ...key]),
    );
    if (existing.length > 0) return false;
  }
  await storage.write(async (sql) => {
    await insertRows(sql, table, storeId, rows);
    if (table === RECORDS) await insertRows(sql, QUEUE, storeId, queueEntriesOf(rows));
  });
  return true;
}

/** Queue entries for the contents of records, because an export has no index. */
function queueEntriesOf(records: Row[]): Row[] {
  const [version, namespace, id] = Object.keys(QUEUE.columns).map((column) => columnOf(RECORDS, column));
  const entries = records.map((row) => [row[version!]!, row[namespace!]!, row[id!]!, Date.now()]);
  return entries.filter(([version]) => version !== null);
}

/** Writes the rows that were held back, and moves the stores to their organizations. */
async function finish(sql: Sql, header: ExportHeader, held: HeldBack): Promise<void> {
  const rowsOf = (name: string) => held.access.get(name) ?? [];
  await bringOrganizations(sql, rowsOf("organizations"));
  const room = waitingRoom(header.export_id);
  for (const row of rowsOf("vector_stores")) {
    const made = await sql.all(
      `UPDATE vector_stores SET organization_id = $2, name = $3, description = $4, settings = $5, created_at = $6,
         updated_at = $7, deleted_at = $8
       WHERE id = $1 AND organization_id = $9 RETURNING id`,
      [...row, room],
    );
    if (made.length === 0)
      throw new Error(`Another import of the vector store ${row[0]} has finished in the meantime.`);
  }
  const connectors = rowsOf("connectors");
  const [taken] = await findRows(
    sql,
    "connectors",
    "id",
    connectors.map(([id]) => String(id)),
  );
  if (taken) {
    const discard = `tidemark import --discard ${header.export_id}`;
    throw new Error(`The connector ${taken.id} already exists, so the import cannot finish: ${discard}`);
  }
  await insertRows(sql, tableOf(ACCESS_TABLES, "connectors"), null, connectors);
  await bringKeys(sql, rowsOf("api_keys"));
  for (const row of rowsOf("api_key_usage")) {
    await sql.all(
      `INSERT INTO api_key_usage (key_id, last_used_at)
       VALUES ($1, $2) ON CONFLICT (key_id) DO UPDATE SET last_used_at = excluded.last_used_at
       WHERE api_key_usage.last_used_at < excluded.last_used_at`,
      row,
    );
  }
  for (const { storeId, row } of held.revisions) {
    await sql.all(
      `INSERT INTO store_revisions (store_id, revision)
       VALUES ($1, $2) ON CONFLICT (store_id) DO UPDATE SET revision = excluded.revision`,
      [storeId, ...row],
    );
  }
  for (const { storeId, row } of held.openRuns) await insertRows(sql, RUNS, storeId, [row]);
  for (const { storeId, namespace, from } of held.sweeps) {
    await sql.all("UPDATE namespaces SET sweep_from = $3 WHERE store_id = $1 AND namespace = $2", [
      storeId,
      namespace,
      from,
    ]);
  }
  await sql.all("DELETE FROM organizations WHERE id = $1", [room]);
}

/** Inserts organizations, unless an earlier import brought them with another store. */
async function bringOrganizations(sql: Sql, rows: Row[]): Promise<void> {
  const table = tableOf(ACCESS_TABLES, "organizations");
  const made = new Map(rows.map((row) => [String(row[0]), Number(row[columnOf(table, "created_at")])]));
  for (const { id, created_at } of await findRows(sql, table.name, "id, created_at", [...made.keys()])) {
    mustBeSame(String(id), Number(created_at), made.get(String(id))!);
  }
  await insertRows(sql, table, null, rows);
}

/** Inserts keys. An existing key of an organization stays, but is revoked if the export's is. */
async function bringKeys(sql: Sql, rows: Row[]): Promise<void> {
  const table = tableOf(ACCESS_TABLES, "api_keys");
  const value = (row: Row, column: string) => row[columnOf(table, column)]!;
  const byId = new Map(rows.map((row) => [String(row[0]), row]));
  const columns = "id, hash, organization_id, vector_store_id, connector_id";
  for (const here of await findRows(sql, table.name, columns, [...byId.keys()])) {
    const there = byId.get(String(here.id))!;
    const same = ["hash", "organization_id", "vector_store_id", "connector_id"].every(
      (column) => here[column] === value(there, column),
    );
    if (!same) throw new Error(`The key ${here.id} already exists and differs from the export's.`);
    await sql.all("UPDATE api_keys SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1", [
      here.id!,
      value(there, "revoked_at"),
    ]);
  }
  await insertRows(sql, table, null, rows);
}
