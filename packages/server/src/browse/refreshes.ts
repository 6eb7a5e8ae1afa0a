import type { RefreshObject } from "@tidemark/protocol/browse";
import type { List } from "@tidemark/protocol/management";
import { formatDateTime } from "@tidemark/protocol/timestamps";
import { getVectorStore } from "../access/vector-stores.ts";
import { type PageRequest, page, pageSize, pageStart } from "../objects/pages.ts";
import { isoTime } from "../objects/times.ts";
import type { Sql } from "../storage/port.ts";

/**
 * The open refresh runs of a store.
 * @param connectorId lists only this connector's runs; null: all
 * @throws ApiError VECTOR_STORE_NOT_FOUND
 */
export async function listRefreshes(
  sql: Sql,
  organizationId: string,
  storeId: string,
  request: PageRequest,
  connectorId: string | null,
): Promise<List<RefreshObject>> {
  await getVectorStore(sql, organizationId, storeId);
  const rows = await sql.all(
    `SELECT run_id AS id, connector_id, CAST(sync_timestamp AS TEXT) AS sync_timestamp, refresh_id, operations,
       batches, started_at, last_part_at
     FROM refresh_runs
     WHERE store_id = $1 AND state = 'open' AND run_id > $2 AND (CAST($3 AS TEXT) IS NULL OR connector_id = $3)
     ORDER BY run_id LIMIT $4`,
    [storeId, pageStart(request), connectorId, pageSize(request) + 1],
  );
  const namespaceRows = await sql.all(
    "SELECT run_id, namespace FROM refresh_run_namespaces WHERE store_id = $1 ORDER BY namespace",
    [storeId],
  );
  const namespaces = Map.groupBy(namespaceRows, (row) => row.run_id);
  return page(rows, request, (row) => ({
    object: "refresh",
    id: String(row.id),
    connector_id: String(row.connector_id),
    sync_timestamp: formatDateTime(BigInt(row.sync_timestamp!)),
    refresh_id: String(row.refresh_id) || null,
    namespaces: (namespaces.get(row.id!) ?? []).map(({ namespace }) => String(namespace)),
    operations: Number(row.operations),
    batches: Number(row.batches),
    started_at: isoTime(row.started_at!),
    last_part_at: isoTime(row.last_part_at!),
  }));
}
