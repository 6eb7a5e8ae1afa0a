import { getVectorStore } from "../access/vector-stores.ts";
import type { Sql } from "../storage/port.ts";
import { IS_FAILED } from "../storage/rules.ts";

/** Entries that one transaction makes due; the store's syncs wait for it. */
const RETRIED_AT_ONCE = 5000;

/**
 * Makes failed entries due now, with all their attempts; call it until it returns 0.
 * @param scope the namespace and the record to retry; null: all
 * @returns the number of entries made due, at most {@link RETRIED_AT_ONCE}
 * @throws ApiError VECTOR_STORE_NOT_FOUND
 */
export async function retryFailed(
  sql: Sql,
  organizationId: string,
  storeId: string,
  scope: { namespace: string | null; id: string | null },
): Promise<number> {
  await getVectorStore(sql, organizationId, storeId);
  const retried = await sql.all(
    `UPDATE index_queue SET due_at = 0, attempts = 0 WHERE store_id = $1 AND version IN
       (SELECT version FROM index_queue WHERE store_id = $1 AND ${IS_FAILED}
          AND (CAST($2 AS TEXT) IS NULL OR namespace = $2) AND (CAST($3 AS TEXT) IS NULL OR id = $3)
        LIMIT ${RETRIED_AT_ONCE})
     RETURNING version`,
    [storeId, scope.namespace, scope.id],
  );
  return retried.length;
}
