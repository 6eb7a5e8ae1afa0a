import type { NamespaceObject } from "@tidemark/protocol/browse";
import { formatDigest } from "@tidemark/protocol/digest";
import type { List } from "@tidemark/protocol/management";
import { formatDateTime } from "@tidemark/protocol/timestamps";
import { getVectorStore } from "../access/vector-stores.ts";
import { type PageRequest, page, pageSize, pageStart } from "../objects/pages.ts";
import { isoTime } from "../objects/times.ts";
import type { Sql } from "../storage/port.ts";
import { indexingByNamespace } from "./index-progress.ts";

/**
 * The namespaces of a store, by name. It leaves out namespaces that only open runs name: no sync was applied to them.
 * @throws ApiError VECTOR_STORE_NOT_FOUND, VALIDATION_ERROR
 */
export async function listNamespaces(
  sql: Sql,
  organizationId: string,
  storeId: string,
  request: PageRequest,
): Promise<List<NamespaceObject>> {
  await getVectorStore(sql, organizationId, storeId);
  const rows = await sql.all(
    `SELECT namespace AS id, records, digest, last_sync_at, CAST(refreshed_at AS TEXT) AS refreshed_at
     FROM namespaces
     WHERE store_id = $1 AND namespace > $2 AND (newest_at > 0 OR records > 0) ORDER BY namespace LIMIT $3`,
    [storeId, pageStart(request), pageSize(request) + 1],
  );
  const indexing = await indexingByNamespace(sql, storeId);
  return page(rows, request, (row) => ({
    object: "namespace",
    namespace: String(row.id),
    records: Number(row.records),
    last_sync_at: isoTime(row.last_sync_at!),
    last_refresh_at: row.refreshed_at === "0" ? null : formatDateTime(BigInt(row.refreshed_at!)),
    indexing: indexing(String(row.id)),
    digest: formatDigest(BigInt(`0x${row.digest}`)),
  }));
}
