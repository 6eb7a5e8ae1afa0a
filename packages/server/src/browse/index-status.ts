import type { Indexing } from "@tidemark/protocol/browse";
import { getVectorStore } from "../access/vector-stores.ts";
import { isoTime } from "../objects/times.ts";
import { readBuildSettings } from "../storage/build-settings.ts";
import type { Sql, SqlRow } from "../storage/port.ts";
import { IS_CURRENT } from "../storage/visibility.ts";
import { indexingOf } from "./index-progress.ts";

/** A build of a store's index, as operators see it. */
export interface IndexBuild {
  build: number;
  /** `active`: it serves searches. `building`: it will serve them when it has every record. */
  state: "active" | "building";
  /** The model of its vectors; null: it has no vectors. */
  model: string | null;
  dimensions: number | null;
  language: string;
  chunks: number;
  created_at: string;
  /** Only while building: how many of all live records it has passed. */
  progress?: { records: number; of: number };
}

/** The builds of a store, and its pending and failed entries. */
export interface IndexStatus extends Indexing {
  vector_store_id: string;
  builds: IndexBuild[];
}

/** The builds of a store, and all its pending and failed entries. @throws ApiError VECTOR_STORE_NOT_FOUND */
export async function getIndexStatus(
  sql: Sql,
  organizationId: string,
  storeId: string,
): Promise<IndexStatus> {
  await getVectorStore(sql, organizationId, storeId);
  const rows = await sql.all(
    "SELECT * FROM index_builds WHERE store_id = $1 AND state IN ('active', 'building') ORDER BY build",
    [storeId],
  );
  const builds: IndexBuild[] = [];
  for (const row of rows) {
    const build = toBuild(row);
    if (build.state === "building") build.progress = await progressOf(sql, storeId, row);
    builds.push(build);
  }
  return {
    vector_store_id: storeId,
    ...(await indexingOf(sql, storeId, Number.MAX_SAFE_INTEGER)),
    builds,
  };
}

function toBuild(row: SqlRow): IndexBuild {
  const { text, embeddings } = readBuildSettings(String(row.settings));
  return {
    build: Number(row.build),
    state: row.state as IndexBuild["state"],
    model: embeddings?.model ?? null,
    dimensions: embeddings?.dimensions ?? null,
    language: text.language,
    chunks: Number(row.chunks),
    created_at: isoTime(row.created_at!),
  };
}

/** Counts the records up to the build's position: it walks them by namespace and id. */
async function progressOf(
  sql: Sql,
  storeId: string,
  { walked_namespace: namespace, walked_id: id }: SqlRow,
): Promise<{ records: number; of: number }> {
  const namespaces = await sql.all("SELECT namespace, records FROM namespaces WHERE store_id = $1", [
    storeId,
  ]);
  const sum = (rows: SqlRow[]) => rows.reduce((records, row) => records + Number(row.records), 0);
  const total = sum(namespaces);
  if (namespace == null) return { records: 0, of: total };
  const [row] = await sql.all(
    `SELECT count(*) AS records FROM namespaces n JOIN records r
       ON r.store_id = n.store_id AND r.namespace = n.namespace
     WHERE n.store_id = $1 AND n.namespace = $2 AND r.id <= $3 AND r.version IS NOT NULL AND ${IS_CURRENT}`,
    [storeId, namespace, id!],
  );
  const before = await sql.all(
    "SELECT sum(records) AS records FROM namespaces WHERE store_id = $1 AND namespace < $2",
    [storeId, namespace],
  );
  return { records: sum(before) + Number(row!.records), of: total };
}
