import type { RefreshObject } from "@tidemark/protocol/browse";
import { ApiError } from "@tidemark/protocol/errors";
import type { Deleted, List } from "@tidemark/protocol/management";
import { formatDateTime } from "@tidemark/protocol/timestamps";
import { getVectorStore } from "../access/vector-stores.ts";
import { type PageRequest, page, pageSize, pageStart } from "../objects/pages.ts";
import { isoTime } from "../objects/times.ts";
import type { Sql } from "../storage/port.ts";

/**
 * The unfinished staged runs of a store.
 * @param connectorId lists this connector's alone; null: all
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
  const named = await sql.all(
    "SELECT run_id, namespace FROM refresh_run_namespaces WHERE store_id = $1 ORDER BY namespace",
    [storeId],
  );
  const namespaces = Map.groupBy(named, (row) => row.run_id);
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

/**
 * Gives an unfinished run up: what it staged is swept, and its parts may be sent anew. Its row stays, as that of a run
 * that expired: a last batch that is still under way would be applied alone, and clear what the parts had.
 * @param connectorId of the caller, who may give up only its own; null: any
 * @throws ApiError VECTOR_STORE_NOT_FOUND, RESOURCE_NOT_FOUND
 */
export async function giveUpRefresh(
  sql: Sql,
  organizationId: string,
  storeId: string,
  runId: string,
  connectorId: string | null,
): Promise<Deleted> {
  await getVectorStore(sql, organizationId, storeId);
  const [run] = await sql.all(
    `SELECT 1 FROM refresh_runs
     WHERE store_id = $1 AND run_id = $2 AND state = 'open' AND (CAST($3 AS TEXT) IS NULL OR connector_id = $3)`,
    [storeId, runId, connectorId],
  );
  if (!run) throw new ApiError("RESOURCE_NOT_FOUND", { id: runId });
  await sql.all(
    `UPDATE namespaces SET sweep_from = '' WHERE store_id = $1 AND namespace IN
       (SELECT namespace FROM refresh_run_namespaces WHERE store_id = $1 AND run_id = $2)`,
    [storeId, runId],
  );
  for (const table of ["refresh_run_namespaces", "refresh_run_parts", "refresh_run_exceptions"]) {
    await sql.all(`DELETE FROM ${table} WHERE store_id = $1 AND run_id = $2`, [storeId, runId]);
  }
  await sql.all("UPDATE refresh_runs SET state = 'expired' WHERE store_id = $1 AND run_id = $2", [
    storeId,
    runId,
  ]);
  return { id: runId, object: "refresh", deleted: true };
}
