import type { List } from "@tidemark/protocol/management";
import { getVectorStore } from "../access/vector-stores.ts";
import { type PageRequest, page, pageSize, pageStart } from "../objects/pages.ts";
import { isoTime } from "../objects/times.ts";
import { IS_FAILED } from "../storage/failed.ts";
import type { Sql } from "../storage/port.ts";

/** Contents that one transaction makes due: syncs of the store wait behind it. */
const RETRIED_AT_ONCE = 5000;

/** A content that the index failed on. */
export interface FailedRecord {
  object: "failed_record";
  vector_store_id: string;
  namespace: string;
  id: string;
  attempts: number;
  error: string;
  /** When it arrived. */
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

/**
 * Makes some failed records due at once, with as many tries as at first.
 * @param only of this namespace, only this record; null: all
 * @returns how many: after 0 none is left
 * @throws ApiError VECTOR_STORE_NOT_FOUND
 */
export async function retryFailed(
  sql: Sql,
  organizationId: string,
  storeId: string,
  only: { namespace: string | null; id: string | null },
): Promise<number> {
  await getVectorStore(sql, organizationId, storeId);
  const retried = await sql.all(
    `UPDATE index_queue SET due_at = 0, attempts = 0 WHERE store_id = $1 AND version IN
       (SELECT version FROM index_queue WHERE store_id = $1 AND ${IS_FAILED}
          AND (CAST($2 AS TEXT) IS NULL OR namespace = $2) AND (CAST($3 AS TEXT) IS NULL OR id = $3)
        LIMIT ${RETRIED_AT_ONCE})
     RETURNING version`,
    [storeId, only.namespace, only.id],
  );
  return retried.length;
}
