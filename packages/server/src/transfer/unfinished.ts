import type { Sql, Storage } from "../storage/port.ts";
import { IMPORT_PREFIX, isNoImport } from "../storage/rules.ts";
import type { ExportHeader } from "./format.ts";

const STEP_ROWS = 2000;
/** Ids per SELECT. */
const LOOK_IDS = 100;

/** The hidden organization that holds the stores of an unfinished import. */
export const waitingRoom = (exportId: string): string => IMPORT_PREFIX + exportId;

/** The rows of a table with these ids. */
export async function findRows(sql: Sql, table: string, columns: string, ids: string[]) {
  const rows = [];
  for (let start = 0; start < ids.length; start += LOOK_IDS) {
    const batch = ids.slice(start, start + LOOK_IDS);
    const places = batch.map((_, index) => `$${index + 1}`).join(", ");
    rows.push(...(await sql.all(`SELECT ${columns} FROM ${table} WHERE id IN (${places})`, batch)));
  }
  return rows;
}

/**
 * Checks that an export can be imported.
 * @returns the stores that an unfinished import of the same export has begun, and the snapshot of each
 * @throws Error if something in the export already exists
 */
export async function findBegun(sql: Sql, header: ExportHeader): Promise<Map<string, string>> {
  const begun = new Map<string, string>();
  const stores = await findRows(
    sql,
    "vector_stores",
    "id, organization_id, description, deleted_at",
    header.stores,
  );
  for (const { id, organization_id, description, deleted_at } of stores) {
    const organization = String(organization_id);
    if (organization === waitingRoom(header.export_id)) begun.set(String(id), String(description));
    else if (organization.startsWith(IMPORT_PREFIX)) {
      const exportId = organization.slice(IMPORT_PREFIX.length);
      throw new Error(
        `The vector store ${id} belongs to an unfinished import of another export. Finish it, or remove it: tidemark import --discard ${exportId}`,
      );
    } else if (deleted_at !== null) {
      throw new Error(
        `The vector store ${id} was deleted from this database, so its id cannot be used again.`,
      );
    } else throw new Error(`The vector store ${id} already exists. Nothing was imported.`);
  }
  const [connector] = await findRows(sql, "connectors", "id", header.connectors);
  if (connector) throw new Error(`The connector ${connector.id} already exists. Nothing was imported.`);
  const made = new Map(header.organizations.map(({ id, created_at }) => [id, created_at]));
  for (const { id, created_at } of await findRows(sql, "organizations", "id, created_at", [...made.keys()])) {
    mustBeSame(String(id), Number(created_at), made.get(String(id))!);
  }
  return begun;
}

/**
 * Checks that an id is the same organization here and in an export: its keys must not open another one's stores.
 * @throws Error if it is not
 */
export function mustBeSame(id: string, here: number, there: number): void {
  if (here === there) return;
  throw new Error(
    `The organization ${id} already exists and is another one (created ${new Date(here).toISOString()}; the export's ` +
      `${new Date(there).toISOString()}). Nothing was imported.`,
  );
}

/** Creates a hidden store for an import. Its description holds the snapshot of its rows. */
export async function beginStore(
  storage: Storage,
  header: ExportHeader,
  { id, snapshot }: { id: string; snapshot: string },
  now: number,
): Promise<void> {
  const organization = waitingRoom(header.export_id);
  await storage.write(async (sql) => {
    await sql.all(
      `INSERT INTO organizations (id, name, created_at)
      VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
      [organization, `Unfinished import of ${header.export_id}`, now],
    );
    await sql.all(
      `INSERT INTO vector_stores (id, organization_id, name, description, settings, created_at, updated_at)
       VALUES ($1, $2, 'Unfinished import', $3, '{}', $4, $4)`,
      [id, organization, snapshot, now],
    );
  });
}

export interface UnfinishedImport {
  export_id: string;
  stores: string[];
}

/** The unfinished imports. */
export async function listUnfinished(sql: Sql): Promise<UnfinishedImport[]> {
  const rows = await sql.all(
    `SELECT o.id, s.id AS store_id FROM organizations o LEFT JOIN vector_stores s ON s.organization_id = o.id
     WHERE NOT (${isNoImport("o.id")}) ORDER BY o.id, s.id`,
  );
  const imports = new Map<string, string[]>();
  for (const { id, store_id } of rows) {
    const exportId = String(id).slice(IMPORT_PREFIX.length);
    const stores = imports.get(exportId) ?? [];
    if (store_id !== null) stores.push(String(store_id));
    imports.set(exportId, stores);
  }
  return [...imports].map(([export_id, stores]) => ({ export_id, stores }));
}

/**
 * Removes what an unfinished import wrote, in small steps.
 * @returns the ids of its stores
 * @throws Error if there is no such import
 */
export async function discardImport(storage: Storage, exportId: string): Promise<string[]> {
  const unfinished = await storage.read(listUnfinished);
  const discarded = unfinished.find(({ export_id }) => export_id === exportId);
  if (!discarded) throw new Error(`There is no unfinished import of ${exportId}.`);
  for (const id of discarded.stores) {
    for (const [table, key] of storage.storeTables) {
      const step = `DELETE FROM ${table} WHERE store_id = $1 AND (${key}) IN
        (SELECT ${key} FROM ${table} WHERE store_id = $1 LIMIT ${STEP_ROWS}) RETURNING 1`;
      while ((await storage.write((sql) => sql.all(step, [id]))).length > 0);
    }
    await storage.write(async (sql) => {
      await sql.all("DELETE FROM store_revisions WHERE store_id = $1", [id]);
      await sql.all("DELETE FROM vector_stores WHERE id = $1", [id]);
    });
  }
  const organization = waitingRoom(exportId);
  await storage.write((sql) => sql.all("DELETE FROM organizations WHERE id = $1", [organization]));
  return discarded.stores;
}
