import type { RecordObject } from "@tidemark/protocol/browse";
import { ApiError, validationError } from "@tidemark/protocol/errors";
import type { List } from "@tidemark/protocol/management";
import { parseJson } from "@tidemark/protocol/parse-json";
import { getVectorStore } from "../access/vector-stores.ts";
import { pageSize } from "../objects/pages.ts";
import { isoTime } from "../objects/times.ts";
import type { Sql, SqlRow } from "../storage/port.ts";
import { IS_FAILED } from "../storage/rules.ts";
import { IS_CURRENT } from "../storage/visibility.ts";

const RECORDS = `
  SELECT r.id, r.written_at, c.content,
    CASE WHEN r.indexed = r.version THEN 'indexed' WHEN ${IS_FAILED} THEN 'failed'
      ELSE 'pending' END AS indexing, q.error
  FROM namespaces n
  JOIN records r ON r.store_id = n.store_id AND r.namespace = n.namespace
  JOIN contents c ON c.store_id = r.store_id AND c.version = r.version
  LEFT JOIN index_queue q ON q.store_id = r.store_id AND q.version = r.version
  WHERE n.store_id = $1 AND n.namespace = $2
    AND ${IS_CURRENT}`;

export interface RecordsRequest {
  namespace: string;
  limit?: number;
  cursor?: string;
}

/**
 * The records of a namespace, by id.
 * @throws ApiError VECTOR_STORE_NOT_FOUND, VALIDATION_ERROR, LISTING_OUTDATED (a refresh was applied between pages)
 */
export async function listRecords(
  sql: Sql,
  organizationId: string,
  storeId: string,
  request: RecordsRequest,
): Promise<List<RecordObject>> {
  await getVectorStore(sql, organizationId, storeId);
  const { namespace, cursor } = request;
  const [state] = await sql.all("SELECT generation FROM namespaces WHERE store_id = $1 AND namespace = $2", [
    storeId,
    namespace,
  ]);
  const generation = Number(state?.generation ?? 0);
  const from = cursor === undefined ? { generation, after: "" } : readCursor(cursor);
  if (from.generation !== generation) throw new ApiError("LISTING_OUTDATED", { namespace });
  const size = pageSize(request);
  const rows = await sql.all(`${RECORDS} AND r.id > $3 ORDER BY r.id LIMIT $4`, [
    storeId,
    namespace,
    from.after,
    size + 1,
  ]);
  const data = rows.slice(0, size).map((row) => toRecord(namespace, row));
  const hasMore = rows.length > size;
  const next = JSON.stringify([generation, data.at(-1)?.id]);
  return {
    object: "list",
    data,
    has_more: hasMore,
    next_cursor: hasMore ? Buffer.from(next).toString("base64url") : null,
  };
}

/** One record. @throws ApiError VECTOR_STORE_NOT_FOUND, RESOURCE_NOT_FOUND */
export async function getRecord(
  sql: Sql,
  organizationId: string,
  storeId: string,
  { namespace, id }: { namespace: string; id: string },
): Promise<RecordObject> {
  await getVectorStore(sql, organizationId, storeId);
  const [row] = await sql.all(`${RECORDS} AND r.id = $3`, [storeId, namespace, id]);
  if (!row) throw new ApiError("RESOURCE_NOT_FOUND", { namespace, id });
  return toRecord(namespace, row);
}

function readCursor(cursor: string): { generation: number; after: string } {
  try {
    const [generation, after] = JSON.parse(Buffer.from(cursor, "base64url").toString("utf8"));
    if (Number.isSafeInteger(generation) && typeof after === "string") return { generation, after };
  } catch {
    // The error below is the answer to a malformed cursor too.
  }
  throw validationError([
    { field: "cursor", code: "INVALID_CURSOR", message: "Must be the next_cursor of an earlier page." },
  ]);
}

function toRecord(namespace: string, row: SqlRow): RecordObject {
  return {
    object: "record",
    namespace,
    id: String(row.id),
    ...(parseJson(String(row.content)) as Pick<RecordObject, "data">),
    synced_at: isoTime(row.written_at!),
    indexing: {
      status: row.indexing as RecordObject["indexing"]["status"],
      ...(row.indexing !== "indexed" && row.error !== null ? { error: String(row.error) } : {}),
    },
  };
}
