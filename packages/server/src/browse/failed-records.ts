import type { List } from "@tidemark/protocol/management";
import { getVectorStore } from "../access/vector-stores.ts";
import { type PageRequest, page, pageSize, pageStart } from "../objects/pages.ts";
import { isoTime } from "../objects/times.ts";
import type { Sql } from "../storage/port.ts";
import { IS_FAILED } from "../storage/rules.ts";

/** A record that the indexer failed to index. */
export interface FailedRecord {
  object: "failed_record";
  vector_store_id: string;
  namespace: string;
  id: string;
  attempts: number;
  error: string;
  /** When the content arrived. */
  queued_at: string;
}

/** The failed records of a store, oldest content first. @throws ApiError VECTOR_STORE_NOT_FOUND */
export async function listFailed(
  sql: Sql,
  organizationId: string,
  storeId: string,
  request: PageRequest,
): Promise<List<FailedRecord>> {
  await getVectorStore(sql, organizationId, storeId);
  const rows = await sql.all(
    `SELECT version AS id, namespace, id AS record_id, attempts, error, queued_at FROM index_queue
     WHERE store_id = $1 AND ${IS_FAILED} AND version > $2 ORDER BY version LIMIT $3`,
    [storeId, Number(pageStart(request) || -1), pageSize(request) + 1],
  );
  return page(rows, request, (row) => ({
    object: "failed_record",
    vector_store_id: storeId,
    namespace: String(row.namespace),
    id: String(row.record_id),
    attempts: Number(row.attempts),
    error: String(row.error ?? ""),
    queued_at: isoTime(row.queued_at!),
  }));
}
