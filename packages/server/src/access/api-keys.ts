import { timingSafeEqual } from "node:crypto";
import { ApiError, validationError } from "@tidemark/protocol/errors";
import type { ApiKey, ConnectorKey, List, Role } from "@tidemark/protocol/management";
import { parseDateTime } from "@tidemark/protocol/timestamps";
import { type PageRequest, page, pageSize, pageStart } from "../objects/pages.ts";
import { isoTime, isoTimeOrNull } from "../objects/times.ts";
import type { Sql, SqlRow } from "../storage/port.ts";
import { hashKey, keyPrefix, makeKey, readKey } from "./key-format.ts";

/** The role, organization, store and connector of the key of a request. */
export interface Identity {
  keyId: string;
  role: Role;
  organizationId: string;
  /** The only store that the key opens; null: all stores of its organization. */
  storeId: string | null;
  /** The connector that the key belongs to; null for readers and admins. */
  connectorId: string | null;
  /** When the key stops working, ms since 1970; null: never. */
  expiresAt: number | null;
}

const COLUMNS = `k.id, k.role, k.name, k.organization_id, k.vector_store_id, k.connector_id, k.created_at,
  k.expires_at, k.revoked_at, u.last_used_at`;
const TABLES = "api_keys k LEFT JOIN api_key_usage u ON u.key_id = k.id";

export interface NewKey {
  role: Role;
  organizationId: string;
  storeId?: string | null;
  connectorId?: string | null;
  name?: string | null;
  /** ISO 8601; absent: the key never expires. */
  expiresAt?: string | undefined;
}

/**
 * Creates a key. Only the answer has the key itself: the database stores its hash.
 * @throws ApiError VALIDATION_ERROR (the expiry is not a date-time or is past)
 */
export async function createKey(sql: Sql, key: NewKey, now: number): Promise<ApiKey & { api_key: string }> {
  const expiresAt = readExpiry(key.expiresAt, now);
  const secret = makeKey(key.role);
  const id = `key_${readKey(secret)!.shortId}`;
  await sql.all(
    `INSERT INTO api_keys
       (id, hash, role, name, organization_id, vector_store_id, connector_id, created_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [
      id,
      hashKey(secret),
      key.role,
      key.name ?? null,
      key.organizationId,
      key.storeId ?? null,
      key.connectorId ?? null,
      now,
      expiresAt,
    ],
  );
  const [row] = await sql.all(`SELECT ${COLUMNS} FROM ${TABLES} WHERE k.id = $1`, [id]);
  return { ...toApiKey(row!), api_key: secret };
}

/**
 * Creates a reader or admin key for an existing organization, or a reader key for one of its stores.
 * @throws ApiError RESOURCE_NOT_FOUND, VECTOR_STORE_NOT_FOUND, VALIDATION_ERROR
 */
export async function createOwnerKey(
  sql: Sql,
  key: NewKey,
  now: number,
): Promise<ApiKey & { api_key: string }> {
  const [organization] = await sql.all("SELECT 1 FROM organizations WHERE id = $1", [key.organizationId]);
  if (!organization) throw new ApiError("RESOURCE_NOT_FOUND", { id: key.organizationId });
  if (key.storeId != null) {
    if (key.role !== "reader") {
      throw validationError([
        { field: "store", code: "NOT_ALLOWED", message: "Is only allowed for the role reader." },
      ]);
    }
    const [store] = await sql.all(
      "SELECT 1 FROM vector_stores WHERE id = $1 AND organization_id = $2 AND deleted_at IS NULL",
      [key.storeId, key.organizationId],
    );
    if (!store) throw new ApiError("VECTOR_STORE_NOT_FOUND", { id: key.storeId });
  }
  return createKey(sql, key, now);
}

function readExpiry(text: string | undefined, now: number): number | null {
  if (text === undefined) return null;
  const parsed = parseDateTime(text);
  const problem = !parsed?.zoned
    ? "Must be an ISO 8601 date-time with a zone, such as 2027-01-01T00:00:00Z."
    : parsed.ns <= BigInt(now) * 1_000_000n
      ? "Must be in the future."
      : undefined;
  if (problem) throw validationError([{ field: "expires_at", code: "INVALID_DATE_TIME", message: problem }]);
  return Number(parsed!.ns / 1_000_000n);
}

/** The identity of a key; undefined if the key is malformed, unknown, revoked or expired. */
export async function identify(sql: Sql, key: string, now: number): Promise<Identity | undefined> {
  const parts = readKey(key);
  if (!parts) return undefined;
  const [row] = await sql.all(
    `SELECT k.id, k.hash, k.role, k.organization_id, k.vector_store_id, k.connector_id, k.expires_at
     FROM api_keys k WHERE k.id = $1 AND k.revoked_at IS NULL`,
    [`key_${parts.shortId}`],
  );
  if (!row || !timingSafeEqual(Buffer.from(String(row.hash)), Buffer.from(hashKey(key)))) return undefined;
  const expiresAt = row.expires_at as number | null;
  if (expiresAt !== null && expiresAt <= now) return undefined;
  return {
    keyId: String(row.id),
    role: row.role as Role,
    organizationId: String(row.organization_id),
    storeId: row.vector_store_id as string | null,
    connectorId: row.connector_id as string | null,
    expiresAt,
  };
}

/** Saves when keys were last used, unless another process saved a later time. @param used key ids, ms since 1970 */
export async function noteKeyUse(sql: Sql, used: [keyId: string, at: number][]): Promise<void> {
  for (const [keyId, at] of used) {
    await sql.all(
      `INSERT INTO api_key_usage (key_id, last_used_at) VALUES ($1, $2)
       ON CONFLICT (key_id) DO UPDATE SET last_used_at = excluded.last_used_at
       WHERE api_key_usage.last_used_at < excluded.last_used_at`,
      [keyId, at],
    );
  }
}

export async function listKeys(
  sql: Sql,
  organizationId: string,
  request: PageRequest,
): Promise<List<ApiKey>> {
  const rows = await sql.all(
    `SELECT ${COLUMNS} FROM ${TABLES} WHERE k.organization_id = $1 AND k.id > $2 ORDER BY k.id LIMIT $3`,
    [organizationId, pageStart(request), pageSize(request) + 1],
  );
  return page(rows, request, toApiKey);
}

/** The keys of some connectors, newest first. */
export async function keysOfConnectors(
  sql: Sql,
  connectorIds: string[],
): Promise<Map<string, ConnectorKey[]>> {
  const keys = new Map<string, ConnectorKey[]>(connectorIds.map((id) => [id, []]));
  if (connectorIds.length === 0) return keys;
  const places = connectorIds.map((_, index) => `$${index + 1}`).join(", ");
  const rows = await sql.all(
    `SELECT ${COLUMNS} FROM ${TABLES} WHERE k.connector_id IN (${places}) ORDER BY k.created_at DESC, k.id`,
    connectorIds,
  );
  for (const row of rows) keys.get(String(row.connector_id))!.push(toConnectorKey(row));
  return keys;
}

/** Which keys to revoke: one key, or all keys of a connector, a store or an organization. */
export type KeyOwner = "key" | "connector" | "vector_store" | "organization";

const OWNERS: Record<KeyOwner, { table: string; column: string }> = {
  key: { table: "api_keys", column: "id" },
  connector: { table: "connectors", column: "connector_id" },
  vector_store: { table: "vector_stores", column: "vector_store_id" },
  organization: { table: "organizations", column: "organization_id" },
};

/** Revokes the live keys of an owner and returns them. @throws ApiError RESOURCE_NOT_FOUND (no such owner) */
export async function revokeKeys(sql: Sql, owner: KeyOwner, id: string, now: number): Promise<ApiKey[]> {
  const { table, column } = OWNERS[owner];
  const [row] = await sql.all(`SELECT 1 FROM ${table} WHERE id = $1`, [id]);
  if (!row) throw new ApiError("RESOURCE_NOT_FOUND", { id });
  const live = await sql.all(
    `SELECT ${COLUMNS} FROM ${TABLES} WHERE k.${column} = $1 AND k.revoked_at IS NULL ORDER BY k.id`,
    [id],
  );
  await sql.all(`UPDATE api_keys SET revoked_at = $2 WHERE ${column} = $1 AND revoked_at IS NULL`, [id, now]);
  return live.map((row) => toApiKey({ ...row, revoked_at: now }));
}

/** One key of a connector. @throws ApiError API_KEY_NOT_FOUND */
export async function getConnectorKey(sql: Sql, connectorId: string, keyId: string): Promise<ConnectorKey> {
  const [row] = await sql.all(`SELECT ${COLUMNS} FROM ${TABLES} WHERE k.connector_id = $1 AND k.id = $2`, [
    connectorId,
    keyId,
  ]);
  if (!row) throw new ApiError("API_KEY_NOT_FOUND", { id: keyId });
  return toConnectorKey(row);
}

function toConnectorKey(row: SqlRow): ConnectorKey {
  return {
    id: String(row.id),
    prefix: keyPrefix(row.role as Role, String(row.id)),
    created_at: isoTime(row.created_at!),
    last_used_at: isoTimeOrNull(row.last_used_at),
    expires_at: isoTimeOrNull(row.expires_at),
    revoked_at: isoTimeOrNull(row.revoked_at),
  };
}

function toApiKey(row: SqlRow): ApiKey {
  const { id, ...rest } = toConnectorKey(row);
  return {
    id,
    object: "api_key",
    role: row.role as Role,
    name: row.name as string | null,
    organization_id: String(row.organization_id),
    vector_store_id: row.vector_store_id as string | null,
    connector_id: row.connector_id as string | null,
    ...rest,
  };
}
