import type { Sql, SqlValue, Storage } from "../storage/port.ts";
import { type ExportHeader, readExport } from "./format.ts";
import { insertRows, type Row } from "./pages.ts";
import { ACCESS_TABLES, LEDGER_TABLES, type Table } from "./tables.ts";
import { beginStore, findBegun, findRows, mustBeSame, waitingRoom } from "./unfinished.ts";

/** What was imported. */
export interface Imported {
  exportId: string;
  stores: number;
  /** Rows that were written, and that an earlier try had written already. */
  rows: number;
  skipped: number;
}

/** Rows that would set something going: they come with the last transaction. They are few. */
interface HeldBack {
  /** By table. */
  access: Map<string, Row[]>;
  revisions: { storeId: string; row: Row }[];
  /** Unfinished refreshes: from then on they can expire. */
  openRuns: { storeId: string; row: Row }[];
  /** Where a sweep goes on in a namespace. */
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
 * Imports an export. Pages are written as they come, each in a transaction; the stores can be used from the last
 * transaction on, which is made when the whole file was read and is right. The same again after an interruption goes
 * on.
 * @param source the bytes of the export
 * @param onProgress called after each page with the rows so far
 * @throws Error if something of it exists already, or that names the line that is wrong
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
  `The import of ${storeId} was begun from an earlier state of this file: tidemark import --discard ${export_id}, then again.`;

/** Takes out of a page what must wait. */
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

/** Writes a page in a transaction. @returns false if an earlier try wrote it: then its last row is there */
async function writePage(
  storage: Storage,
  table: Table,
  storeId: string,
  rows: Row[],
  mayBeThere: boolean,
): Promise<boolean> {
  const last = rows.at(-1);
  if (!last) return true;
  if (mayBeThere) {
    const key = table.key.map((column) => last[columnOf(table, column)]!);
    const where = table.key.map((column, index) => `${column} = $${index + 2}`).join(" AND ");
    const found = await storage.read((sql) =>
      sql.all(`SELECT 1 FROM ${table.name} WHERE store_id = $1 AND ${where}`, [storeId, ...key]),
    );
    if (found.length > 0) return false;
  }
  await storage.write(async (sql) => {
    await insertRows(sql, table, storeId, rows);
    if (table === RECORDS) await insertRows(sql, QUEUE, storeId, queueEntriesOf(rows));
  });
  return true;
}

/** Has the index look at the contents of records: it is not part of an export. */
function queueEntriesOf(records: Row[]): Row[] {
  const [version, namespace, id] = Object.keys(QUEUE.columns).map((column) => columnOf(RECORDS, column));
  const entries = records.map((row) => [row[version!]!, row[namespace!]!, row[id!]!, Date.now()]);
  return entries.filter(([version]) => version !== null);
}

/** Brings what was held back, and makes the stores those of their organizations. */
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
    if (made.length === 0) throw new Error(`Another import has finished with ${row[0]} meanwhile.`);
  }
  const connectors = rowsOf("connectors");
  const [taken] = await findRows(
    sql,
    "connectors",
    "id",
    connectors.map(([id]) => String(id)),
  );
  if (taken) throw new Error(`The connector ${taken.id} exists already. Nothing can be used of the import.`);
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

/** One that is there already stays as it is: an earlier import brought it with another of its stores. */
async function bringOrganizations(sql: Sql, rows: Row[]): Promise<void> {
  const table = tableOf(ACCESS_TABLES, "organizations");
  const made = new Map(rows.map((row) => [String(row[0]), Number(row[columnOf(table, "created_at")])]));
  for (const { id, created_at } of await findRows(sql, table.name, "id, created_at", [...made.keys()])) {
    mustBeSame(String(id), Number(created_at), made.get(String(id))!);
  }
  await insertRows(sql, table, null, rows);
}

/** One that is there already, of an organization as a whole, stays; if it was revoked there, it is here. */
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
    if (!same) throw new Error(`The key ${here.id} exists already and is another one.`);
    await sql.all("UPDATE api_keys SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1", [
      here.id!,
      value(there, "revoked_at"),
    ]);
  }
  await insertRows(sql, table, null, rows);
}
