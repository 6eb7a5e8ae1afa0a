import { getVectorStore } from "../access/vector-stores.ts";
import type { Sql } from "../storage/port.ts";
import { IS_FAILED } from "../storage/rules.ts";

/** Contents that one transaction makes due: syncs of the store wait behind it. */
const RETRIED_AT_ONCE = 5000;

/**
 * Has some of what was given up tried again at once, with as many tries as at first.
 * @param of only of this namespace, only this record; null: all
 * @returns how many: after 0 none is left
 * @throws ApiError VECTOR_STORE_NOT_FOUND
 */
export async function retryFailed(
  sql: Sql,
  organizationId: string,
  storeId: string,
  of: { namespace: string | null; id: string | null },
): Promise<number> {
  await getVectorStore(sql, organizationId, storeId);
  const retried = await sql.all(
    `UPDATE index_queue SET due_at = 0, attempts = 0 WHERE store_id = $1 AND version IN
       (SELECT version FROM index_queue WHERE store_id = $1 AND ${IS_FAILED}
          AND (CAST($2 AS TEXT) IS NULL OR namespace = $2) AND (CAST($3 AS TEXT) IS NULL OR id = $3)
        LIMIT ${RETRIED_AT_ONCE})
     RETURNING version`,
    [storeId, of.namespace, of.id],
  );
  return retried.length;
}
