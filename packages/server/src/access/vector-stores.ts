import { ApiError, validationError } from "@tidemark/protocol/errors";
import type {
  Deleted,
  List,
  SetVectorStoreSettings,
  UpdateVectorStore,
  VectorStore,
} from "@tidemark/protocol/management";
import { newId } from "../objects/ids.ts";
import { type PageRequest, page, pageSize, pageStart } from "../objects/pages.ts";
import { isoTime } from "../objects/times.ts";
import type { Sql, SqlRow } from "../storage/port.ts";
import { checkTextSettings } from "../text/settings.ts";
import { revokeKeys } from "./api-keys.ts";

const COLUMNS = "id, organization_id, name, description, settings, created_at, updated_at";

interface NewVectorStore {
  name: string;
  description?: string | null;
  settings?: SetVectorStoreSettings;
  id?: string;
}

/**
 * @throws ApiError RESOURCE_NOT_FOUND (no such organization), ALREADY_EXISTS (the requested id is taken),
 *   VALIDATION_ERROR (the settings contradict each other)
 */
export async function createVectorStore(
  sql: Sql,
  organizationId: string,
  { name, description = null, settings = {}, id = newId("vs") }: NewVectorStore,
  now: number,
): Promise<VectorStore> {
  const [organization] = await sql.all("SELECT 1 FROM organizations WHERE id = $1", [organizationId]);
  if (!organization) throw new ApiError("RESOURCE_NOT_FOUND", { id: organizationId });
  const [taken] = await sql.all("SELECT 1 FROM vector_stores WHERE id = $1", [id]);
  if (taken) throw new ApiError("ALREADY_EXISTS", { id });
  await sql.all(
    `INSERT INTO vector_stores (id, organization_id, name, description, settings, created_at, updated_at)
     VALUES ($1, $2, $3, $4, $5, $6, $6)`,
    [id, organizationId, name, description, JSON.stringify(changeSettings({}, settings)), now],
  );
  return getVectorStore(sql, organizationId, id);
}

/** @throws ApiError VECTOR_STORE_NOT_FOUND */
export async function getVectorStore(sql: Sql, organizationId: string, id: string): Promise<VectorStore> {
  const [row] = await sql.all(
    `SELECT ${COLUMNS} FROM vector_stores WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL`,
    [organizationId, id],
  );
  if (!row) throw new ApiError("VECTOR_STORE_NOT_FOUND", { id });
  return toVectorStore(row, await countRecords(sql, [id]));
}

/** @param onlyId lists only this store, for a key that opens no other */
export async function listVectorStores(
  sql: Sql,
  organizationId: string,
  request: PageRequest,
  onlyId: string | null = null,
): Promise<List<VectorStore>> {
  const rows = await sql.all(
    `SELECT ${COLUMNS} FROM vector_stores
     WHERE organization_id = $1 AND id > $2 AND deleted_at IS NULL AND (CAST($3 AS TEXT) IS NULL OR id = $3)
     ORDER BY id LIMIT $4`,
    [organizationId, pageStart(request), onlyId, pageSize(request) + 1],
  );
  const counts = await countRecords(
    sql,
    rows.map(({ id }) => String(id)),
  );
  return page(rows, request, (row) => toVectorStore(row, counts));
}

/** The numbers of live records of stores; a store without namespaces has no entry. */
async function countRecords(sql: Sql, storeIds: string[]): Promise<Map<string, number>> {
  if (storeIds.length === 0) return new Map();
  const places = storeIds.map((_, index) => `$${index + 1}`).join(", ");
  const rows = await sql.all(
    `SELECT store_id, sum(records) AS records FROM namespaces WHERE store_id IN (${places}) GROUP BY store_id`,
    storeIds,
  );
  return new Map(rows.map(({ store_id, records }) => [String(store_id), Number(records)]));
}

/**
 * The settings after some have changed; null restores a setting's default.
 * @throws ApiError VALIDATION_ERROR (the settings contradict each other)
 */
function changeSettings(
  before: Record<string, unknown>,
  changes: SetVectorStoreSettings,
): Record<string, unknown> {
  const members = Object.entries({ ...before, ...changes }).filter(([, value]) => value !== null);
  const after = Object.fromEntries(members);
  const errors = checkTextSettings(after, changes);
  if (errors.length > 0) throw validationError(errors);
  return after;
}

/** @throws ApiError VECTOR_STORE_NOT_FOUND, VALIDATION_ERROR (the settings contradict each other) */
export async function updateVectorStore(
  sql: Sql,
  organizationId: string,
  id: string,
  changes: UpdateVectorStore,
  now: number,
): Promise<VectorStore> {
  const store = await getVectorStore(sql, organizationId, id);
  const { name = store.name, description = store.description } = changes;
  const settings = changes.settings ? changeSettings(store.settings, changes.settings) : store.settings;
  await sql.all(
    `UPDATE vector_stores SET name = $3, description = $4, settings = $5, updated_at = $6
     WHERE organization_id = $1 AND id = $2`,
    [organizationId, id, name, description, JSON.stringify(settings), now],
  );
  return getVectorStore(sql, organizationId, id);
}

/**
 * Deletes a store and its connectors, and revokes the keys of both. Maintenance sweeps the store's rows later.
 * @throws ApiError VECTOR_STORE_NOT_FOUND
 */
export async function deleteVectorStore(
  sql: Sql,
  organizationId: string,
  id: string,
  now: number,
): Promise<Deleted> {
  await getVectorStore(sql, organizationId, id);
  await sql.all("UPDATE vector_stores SET deleted_at = $2 WHERE id = $1", [id, now]);
  await sql.all("UPDATE connectors SET deleted_at = $2 WHERE vector_store_id = $1 AND deleted_at IS NULL", [
    id,
    now,
  ]);
  await revokeKeys(sql, "vector_store", id, now);
  return { id, object: "vector_store", deleted: true };
}

function toVectorStore(row: SqlRow, counts: Map<string, number>): VectorStore {
  const id = String(row.id);
  return {
    id,
    object: "vector_store",
    name: String(row.name),
    description: row.description as string | null,
    organization_id: String(row.organization_id),
    record_count: counts.get(id) ?? 0,
    status: "active",
    settings: JSON.parse(String(row.settings)),
    created_at: isoTime(row.created_at!),
    updated_at: isoTime(row.updated_at!),
  };
}
