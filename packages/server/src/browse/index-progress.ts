import type { Indexing } from "@tidemark/protocol/browse";
import { isoTimeOrNull } from "../access/pages.ts";
import type { Sql, SqlRow } from "../storage/port.ts";
import { IS_SERVED } from "../storage/served-stores.ts";
import { VERSIONS_PER_REVISION, versionsEnd } from "../storage/versions.ts";

/** Contents of a store that are counted, oldest first: a backlog of millions would take longer to count than to ask. */
const COUNTED_MAX = 100_000;

/** A content that has no due time was given up. */
const TALLY = `count(due_at) AS pending, count(*) - count(due_at) AS failed,
  min(CASE WHEN due_at IS NOT NULL THEN marked_at END) AS oldest`;

const LEVEL: Indexing = { pending: 0, failed: 0, oldest_pending_at: null };

const toIndexing = (row: SqlRow): Indexing => ({
  pending: Number(row.pending),
  failed: Number(row.failed),
  oldest_pending_at: isoTimeOrNull(row.oldest),
});

/** How far the index of a store is. @param limit contents that are counted at most */
export async function indexingOf(sql: Sql, storeId: string, limit = COUNTED_MAX): Promise<Indexing> {
  const [row] = await sql.all(
    `SELECT ${TALLY} FROM
       (SELECT due_at, marked_at FROM dirty_contents WHERE store_id = $1 ORDER BY version LIMIT $2) d`,
    [storeId, limit],
  );
  return toIndexing(row!);
}

/** How far the index is with each namespace of a store. */
export async function indexingByNamespace(
  sql: Sql,
  storeId: string,
): Promise<(namespace: string) => Indexing> {
  const rows = await sql.all(
    `SELECT namespace, ${TALLY} FROM
       (SELECT namespace, due_at, marked_at FROM dirty_contents WHERE store_id = $1
        ORDER BY version LIMIT ${COUNTED_MAX}) d
     GROUP BY namespace`,
    [storeId],
  );
  const found = new Map(rows.map((row) => [String(row.namespace), toIndexing(row)]));
  return (namespace) => found.get(namespace) ?? LEVEL;
}

/** How far the index is with everything up to some revisions of a store. */
export async function indexingUpTo(
  sql: Sql,
  storeId: string,
  revisions: number[],
): Promise<(revision: number) => Indexing> {
  const rows = await sql.all(
    `SELECT version / ${VERSIONS_PER_REVISION} AS revision, ${TALLY} FROM
       (SELECT version, due_at, marked_at FROM dirty_contents WHERE store_id = $1 AND version < $2
        ORDER BY version LIMIT ${COUNTED_MAX}) d
     GROUP BY version / ${VERSIONS_PER_REVISION} ORDER BY 1`,
    [storeId, versionsEnd(Math.max(-1, ...revisions))],
  );
  const found = new Map<number, Indexing>();
  let sum = LEVEL;
  let next = 0;
  for (const revision of revisions.toSorted((a, b) => a - b)) {
    for (; next < rows.length && Number(rows[next]!.revision) <= revision; next++) {
      sum = add(sum, toIndexing(rows[next]!));
    }
    found.set(revision, sum);
  }
  return (revision) => found.get(revision)!;
}

const add = (one: Indexing, other: Indexing): Indexing => ({
  pending: one.pending + other.pending,
  failed: one.failed + other.failed,
  // Times of one form, in UTC: their texts are in their order.
  oldest_pending_at:
    [one, other].flatMap(({ oldest_pending_at }) => oldest_pending_at ?? []).sort()[0] ?? null,
});

/** How far the indexes of all stores are, every content counted. */
export async function indexingOfAll(sql: Sql): Promise<Indexing> {
  const [row] = await sql.all(
    `SELECT ${TALLY} FROM dirty_contents
     WHERE store_id IN (SELECT s.id FROM vector_stores s WHERE ${IS_SERVED})`,
  );
  return toIndexing(row!);
}
