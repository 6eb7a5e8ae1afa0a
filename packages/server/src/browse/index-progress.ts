import type { Indexing } from "@tidemark/protocol/browse";
import { isoTimeOrNull } from "../objects/times.ts";
import type { Sql, SqlRow } from "../storage/port.ts";
import { IS_FAILED, IS_PENDING, IS_SERVED, VERSIONS_PER_REVISION, versionsEnd } from "../storage/rules.ts";

/** The most queue entries that are counted, oldest first: counting a backlog of millions takes too long. */
const COUNTED_MAX = 100_000;

const TALLY = `count(*) FILTER (WHERE ${IS_PENDING}) AS pending, count(*) FILTER (WHERE ${IS_FAILED}) AS failed,
  min(queued_at) FILTER (WHERE ${IS_PENDING}) AS oldest`;

const UP_TO_DATE: Indexing = { pending: 0, failed: 0, oldest_pending_at: null };

const toIndexing = (row: SqlRow): Indexing => ({
  pending: Number(row.pending),
  failed: Number(row.failed),
  oldest_pending_at: isoTimeOrNull(row.oldest),
});

/** The pending and failed entries of a store's index queue. @param limit the most entries to count */
export async function indexingOf(sql: Sql, storeId: string, limit = COUNTED_MAX): Promise<Indexing> {
  const [row] = await sql.all(
    `SELECT ${TALLY} FROM
       (SELECT due_at, attempts, queued_at FROM index_queue WHERE store_id = $1 ORDER BY version LIMIT $2) q`,
    [storeId, limit],
  );
  return toIndexing(row!);
}

/** The pending and failed entries of each namespace of a store. */
export async function indexingByNamespace(
  sql: Sql,
  storeId: string,
): Promise<(namespace: string) => Indexing> {
  const rows = await sql.all(
    `SELECT namespace, ${TALLY} FROM
       (SELECT namespace, due_at, attempts, queued_at FROM index_queue WHERE store_id = $1
        ORDER BY version LIMIT ${COUNTED_MAX}) q
     GROUP BY namespace`,
    [storeId],
  );
  const byNamespace = new Map(rows.map((row) => [String(row.namespace), toIndexing(row)]));
  return (namespace) => byNamespace.get(namespace) ?? UP_TO_DATE;
}

/** The pending and failed entries that were enqueued up to each of these revisions of a store. */
export async function indexingUpTo(
  sql: Sql,
  storeId: string,
  revisions: number[],
): Promise<(revision: number) => Indexing> {
  const rows = await sql.all(
    `SELECT version / ${VERSIONS_PER_REVISION} AS revision, ${TALLY} FROM
       (SELECT version, due_at, attempts, queued_at FROM index_queue WHERE store_id = $1 AND version < $2
        ORDER BY version LIMIT ${COUNTED_MAX}) q
     GROUP BY version / ${VERSIONS_PER_REVISION} ORDER BY 1`,
    [storeId, versionsEnd(Math.max(-1, ...revisions))],
  );
  const byRevision = new Map<number, Indexing>();
  let sum = UP_TO_DATE;
  let next = 0;
  for (const revision of revisions.toSorted((a, b) => a - b)) {
    for (; next < rows.length && Number(rows[next]!.revision) <= revision; next++) {
      sum = add(sum, toIndexing(rows[next]!));
    }
    byRevision.set(revision, sum);
  }
  return (revision) => byRevision.get(revision)!;
}

const add = (a: Indexing, b: Indexing): Indexing => ({
  pending: a.pending + b.pending,
  failed: a.failed + b.failed,
  // Both are in UTC and in one format, so they sort as texts.
  oldest_pending_at: [a, b].flatMap(({ oldest_pending_at }) => oldest_pending_at ?? []).sort()[0] ?? null,
});

/** The pending and failed entries of all stores, without a limit. */
export async function indexingOfAll(sql: Sql): Promise<Indexing> {
  const [row] = await sql.all(
    `SELECT ${TALLY} FROM index_queue
     WHERE store_id IN (SELECT s.id FROM vector_stores s WHERE ${IS_SERVED})`,
  );
  return toIndexing(row!);
}
