import type { Indexing, SyncObject } from "@tidemark/protocol/browse";
import { ApiError, validationError } from "@tidemark/protocol/errors";
import type { List } from "@tidemark/protocol/management";
import { parseJson } from "@tidemark/protocol/parse-json";
import { formatDateTime } from "@tidemark/protocol/timestamps";
import { getVectorStore } from "../access/vector-stores.ts";
import { page, pageSize } from "../objects/pages.ts";
import { isoTime } from "../objects/times.ts";
import type { Sql, SqlRow } from "../storage/port.ts";
import { indexingUpTo } from "./index-progress.ts";

const COLUMNS = `revision, sync_id, connector_id, mode, status, CAST(sync_timestamp AS TEXT) AS sync_timestamp,
  refresh_id, received_at, duration_ms, trace_id, results, by_namespace, changes`;

export interface SyncsRequest {
  limit?: number;
  cursor?: string;
  connector_id?: string;
  sync_mode?: string;
}

/**
 * The acknowledged syncs of a store, newest first.
 * @param connectorId lists only this connector's syncs; null: all
 * @throws ApiError VECTOR_STORE_NOT_FOUND, VALIDATION_ERROR
 */
export async function listSyncs(
  sql: Sql,
  organizationId: string,
  storeId: string,
  request: SyncsRequest,
  connectorId: string | null,
): Promise<List<SyncObject>> {
  await getVectorStore(sql, organizationId, storeId);
  const rows = await sql.all(
    `SELECT ${COLUMNS}, revision AS id FROM syncs
     WHERE store_id = $1 AND revision < $2 AND (CAST($3 AS TEXT) IS NULL OR connector_id = $3)
       AND (CAST($4 AS TEXT) IS NULL OR connector_id = $4) AND (CAST($5 AS TEXT) IS NULL OR mode = $5)
     ORDER BY revision DESC LIMIT $6`,
    [
      storeId,
      revisionBefore(request),
      connectorId,
      request.connector_id ?? null,
      request.sync_mode ?? null,
      pageSize(request) + 1,
    ],
  );
  const indexing = await indexingUpTo(sql, storeId, rows.map(revisionOf));
  return page(rows, request, (row) => toSync(row, indexing(revisionOf(row))));
}

/** One sync. @throws ApiError VECTOR_STORE_NOT_FOUND, RESOURCE_NOT_FOUND */
export async function getSync(
  sql: Sql,
  organizationId: string,
  storeId: string,
  syncId: string,
  connectorId: string | null,
): Promise<SyncObject> {
  await getVectorStore(sql, organizationId, storeId);
  const [row] = await sql.all(
    `SELECT ${COLUMNS} FROM syncs
     WHERE store_id = $1 AND sync_id = $2 AND (CAST($3 AS TEXT) IS NULL OR connector_id = $3)`,
    [storeId, syncId, connectorId],
  );
  if (!row) throw new ApiError("RESOURCE_NOT_FOUND", { id: syncId });
  const indexing = await indexingUpTo(sql, storeId, [revisionOf(row)]);
  return toSync(row, indexing(revisionOf(row)));
}

const revisionOf = (row: SqlRow) => Number(row.revision);

function revisionBefore({ cursor }: SyncsRequest): number {
  if (cursor === undefined) return Number.MAX_SAFE_INTEGER;
  const revision = /^after:(\d{1,15})$/.exec(Buffer.from(cursor, "base64url").toString("utf8"))?.[1];
  if (revision !== undefined) return Number(revision);
  throw validationError([
    { field: "cursor", code: "INVALID_CURSOR", message: "Must be the next_cursor of an earlier page." },
  ]);
}

function toSync(row: SqlRow, indexing: Indexing): SyncObject {
  return {
    object: "sync",
    id: String(row.sync_id),
    connector_id: String(row.connector_id),
    sync_mode: row.mode as SyncObject["sync_mode"],
    sync_timestamp: formatDateTime(BigInt(row.sync_timestamp!)),
    refresh_id: row.refresh_id as string | null,
    status: row.status as SyncObject["status"],
    received_at: isoTime(row.received_at!),
    processing_time_ms: Number(row.duration_ms),
    trace_id: String(row.trace_id),
    results: JSON.parse(String(row.results)),
    by_namespace: parseJson(String(row.by_namespace)) as SyncObject["by_namespace"],
    changes: JSON.parse(String(row.changes)),
    indexing,
  };
}
