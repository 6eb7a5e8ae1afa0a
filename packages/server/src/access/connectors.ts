import { ApiError } from "@tidemark/protocol/errors";
import type {
  Connector,
  ConnectorKey,
  Deleted,
  List,
  NewConnector,
  NewConnectorKey,
  UpdateConnector,
} from "@tidemark/protocol/management";
import { newId } from "../objects/ids.ts";
import { type PageRequest, page, pageSize, pageStart } from "../objects/pages.ts";
import { isoTime } from "../objects/times.ts";
import type { Sql, SqlRow } from "../storage/port.ts";
import { createKey, getConnectorKey, keysOfConnectors, revokeKeys } from "./api-keys.ts";
import { getVectorStore } from "./vector-stores.ts";

/**
 * Creates a connector of one store, with its first key.
 * @throws ApiError VECTOR_STORE_NOT_FOUND, ALREADY_EXISTS (the requested id is taken)
 */
export async function createConnector(
  sql: Sql,
  organizationId: string,
  { name, storeId, id = newId("conn") }: { name: string; storeId: string; id?: string },
  now: number,
): Promise<NewConnector> {
  await getVectorStore(sql, organizationId, storeId);
  const [taken] = await sql.all("SELECT 1 FROM connectors WHERE id = $1", [id]);
  if (taken) throw new ApiError("ALREADY_EXISTS", { id });
  await sql.all(
    `INSERT INTO connectors (id, organization_id, vector_store_id, name, created_at) VALUES ($1, $2, $3, $4, $5)`,
    [id, organizationId, storeId, name, now],
  );
  const { api_key } = await createConnectorKey(sql, organizationId, id, {}, now);
  return { ...(await getConnector(sql, organizationId, id)), api_key };
}

/** @throws ApiError CONNECTOR_NOT_FOUND */
export async function getConnector(sql: Sql, organizationId: string, id: string): Promise<Connector> {
  const [row] = await sql.all(
    `SELECT id, organization_id, vector_store_id, name, created_at FROM connectors
     WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL`,
    [organizationId, id],
  );
  if (!row) throw new ApiError("CONNECTOR_NOT_FOUND", { id });
  return toConnector(row, await keysOfConnectors(sql, [id]));
}

export async function listConnectors(
  sql: Sql,
  organizationId: string,
  request: PageRequest,
): Promise<List<Connector>> {
  const rows = await sql.all(
    `SELECT id, organization_id, vector_store_id, name, created_at FROM connectors
     WHERE organization_id = $1 AND id > $2 AND deleted_at IS NULL ORDER BY id LIMIT $3`,
    [organizationId, pageStart(request), pageSize(request) + 1],
  );
  const keys = await keysOfConnectors(
    sql,
    rows.map(({ id }) => String(id)),
  );
  return page(rows, request, (row) => toConnector(row, keys));
}

/** @throws ApiError CONNECTOR_NOT_FOUND */
export async function updateConnector(
  sql: Sql,
  organizationId: string,
  id: string,
  { name }: UpdateConnector,
): Promise<Connector> {
  await sql.all(
    "UPDATE connectors SET name = coalesce($3, name) WHERE organization_id = $1 AND id = $2 AND deleted_at IS NULL",
    [organizationId, id, name ?? null],
  );
  return getConnector(sql, organizationId, id);
}

/** Deletes a connector and revokes its keys; its records stay. @throws ApiError CONNECTOR_NOT_FOUND */
export async function deleteConnector(
  sql: Sql,
  organizationId: string,
  id: string,
  now: number,
): Promise<Deleted> {
  await getConnector(sql, organizationId, id);
  await sql.all("UPDATE connectors SET deleted_at = $2 WHERE id = $1", [id, now]);
  await revokeKeys(sql, "connector", id, now);
  return { id, object: "connector", deleted: true };
}

/** Adds another key to a connector. @throws ApiError CONNECTOR_NOT_FOUND, VALIDATION_ERROR */
export async function createConnectorKey(
  sql: Sql,
  organizationId: string,
  connectorId: string,
  { expires_at }: { expires_at?: string },
  now: number,
): Promise<NewConnectorKey> {
  const connector = await getConnector(sql, organizationId, connectorId);
  const { id, api_key } = await createKey(
    sql,
    {
      role: "connector",
      organizationId,
      storeId: connector.vector_store_id,
      connectorId,
      expiresAt: expires_at,
    },
    now,
  );
  return { ...(await getConnectorKey(sql, connectorId, id)), api_key };
}

/** @throws ApiError CONNECTOR_NOT_FOUND, API_KEY_NOT_FOUND */
export async function revokeConnectorKey(
  sql: Sql,
  organizationId: string,
  connectorId: string,
  keyId: string,
  now: number,
): Promise<ConnectorKey> {
  await getConnector(sql, organizationId, connectorId);
  await getConnectorKey(sql, connectorId, keyId);
  await revokeKeys(sql, "key", keyId, now);
  return getConnectorKey(sql, connectorId, keyId);
}

function toConnector(row: SqlRow, keys: Map<string, ConnectorKey[]>): Connector {
  return {
    id: String(row.id),
    object: "connector",
    name: String(row.name),
    organization_id: String(row.organization_id),
    vector_store_id: String(row.vector_store_id),
    keys: keys.get(String(row.id)) ?? [],
    created_at: isoTime(row.created_at!),
  };
}
