import type { MaintenanceStep } from "../background-step.ts";
import { IS_FAILED } from "../rules.ts";
import type { Connections } from "./connections.ts";
import { stepOn } from "./maintenance.ts";
import { lockStore } from "./store-lock.ts";

/** Rows and blocks per step; few, so that a sync never waits long for a step. */
const STEP_ROWS = 2000;
const STEP_BLOCKS = 500;
const STEP_VECTORS = 500;
/** How long an unused vector is kept, because its text may come again. */
const UNUSED_VECTOR_MS = 24 * 3_600_000;

/** Removes the blocks, and then the row, of a segment that was merged or whose making was abandoned. */
function sweepSegments(connections: Connections): Promise<MaintenanceStep> {
  const look = { text: "SELECT store_id, build, segment FROM segments WHERE state = 'merged'" };
  return stepOn(connections, look, async (tx, storeId, [build, segment]) => {
    const key = [storeId, build, segment];
    const gone = await tx.rows(
      `DELETE FROM segment_blocks WHERE store_id = $1 AND ctid = ANY (ARRAY(
         SELECT ctid FROM segment_blocks WHERE store_id = $1 AND build = $2 AND segment = $3
         LIMIT ${STEP_BLOCKS})) RETURNING 1`,
      key,
    );
    if (gone.length === STEP_BLOCKS) return { rows: gone.length, more: true };
    await tx.rows("DELETE FROM segments WHERE store_id = $1 AND build = $2 AND segment = $3", key);
    return { rows: gone.length + 1, more: true };
  });
}

/** Removes all rows of a retired build, and its own row last. */
function sweepBuilds(connections: Connections): Promise<MaintenanceStep> {
  const look = { text: "SELECT store_id, build FROM index_builds WHERE state = 'retired'" };
  return stepOn(connections, look, async (tx, storeId, [build]) => {
    const key = [storeId, build];
    for (const [table, rows] of [
      ["chunks", STEP_ROWS],
      ["segment_blocks", STEP_BLOCKS],
    ]) {
      const gone = await tx.rows(
        `DELETE FROM ${table} WHERE store_id = $1 AND ctid = ANY (ARRAY(
           SELECT ctid FROM ${table} WHERE store_id = $1 AND build = $2 LIMIT ${rows})) RETURNING 1`,
        key,
      );
      if (gone.length > 0) return { rows: gone.length, more: true };
    }
    for (const table of ["segments", "index_builds"])
      await tx.rows(`DELETE FROM ${table} WHERE store_id = $1 AND build = $2`, key);
    return { rows: 1, more: true };
  });
}

/** Makes failed entries due if their content is gone. */
function releaseFailed(connections: Connections): Promise<MaintenanceStep> {
  const isGone = (storeId: string) => `${IS_FAILED} AND NOT EXISTS
    (SELECT 1 FROM contents c WHERE c.store_id = ${storeId} AND c.version = q.version)`;
  const look = { text: `SELECT q.store_id FROM index_queue q WHERE ${isGone("q.store_id")}` };
  return stepOn(connections, look, async (tx, storeId) => {
    const released = await tx.rows(
      `UPDATE index_queue q SET due_at = 0 WHERE q.store_id = $1 AND ${isGone("$1")} RETURNING 1`,
      [storeId],
    );
    return { rows: released.length, more: false };
  });
}

/** Identifies a vector. */
export interface VectorKey {
  storeId: string;
  space: number;
  vector: number;
}

/** The vectors of store $1 and space $2 from $3 to $4 that no chunk has, with one lookup each. */
const UNUSED = `SELECT v.vector FROM vectors v
  WHERE v.store_id = $1 AND v.space = $2 AND v.vector BETWEEN $3 AND $4
    AND (SELECT 1 FROM chunks c WHERE c.store_id = $1 AND c.vector = v.vector AND c.build + 0 IN
      (SELECT build FROM index_builds WHERE store_id = $1 AND space = $2) LIMIT 1) IS NULL`;
/** Rows of `unused_vectors` to delete: their vectors are used again, or have been unused since before $5. */
const OUTDATED = `n.store_id = $1 AND n.space = $2 AND n.vector BETWEEN $3 AND $4
  AND (n.since < $5 OR n.vector NOT IN (SELECT vector FROM unused))`;
/** Unused vectors that are not in `unused_vectors` yet. */
const UNNOTED = `SELECT vector FROM unused WHERE NOT EXISTS
  (SELECT 1 FROM unused_vectors n WHERE n.store_id = $1 AND n.space = $2 AND n.vector = unused.vector)`;

/**
 * Checks the next vectors, and removes those that no chunk has had for a day.
 * @param after the vector behind which it continues; null: from the beginning
 * @returns the vector behind which the next call continues; null at the end
 */
export async function sweepVectors(
  connections: Connections,
  after: VectorKey | null,
  now: number,
): Promise<VectorKey | null> {
  const rows = await connections.transaction("read", (tx) =>
    tx.rows<[string, number, number]>(
      `SELECT store_id, space, vector FROM vectors WHERE (store_id, space, vector) > ($1, $2, $3)
       ORDER BY store_id, space, vector LIMIT ${STEP_VECTORS}`,
      [after?.storeId ?? "", after?.space ?? 0, after?.vector ?? -1],
    ),
  );
  const [first] = rows;
  if (!first) return null;
  const [storeId, space, from] = first;
  const [, , to] = rows.findLast((row) => row[0] === storeId && row[1] === space)!;
  const range = [storeId, space, from, to, now - UNUSED_VECTOR_MS];
  const [change] = await connections.transaction("read", (tx) =>
    tx.rows(
      `WITH unused AS MATERIALIZED (${UNUSED})
       SELECT 1 WHERE EXISTS (${UNNOTED}) OR EXISTS (SELECT 1 FROM unused_vectors n WHERE ${OUTDATED})`,
      range,
    ),
  );
  if (change) {
    await connections.transaction("write", async (tx) => {
      // Chunks get their vectors under the store lock too.
      await lockStore(tx, storeId);
      await tx.rows(
        `WITH unused AS MATERIALIZED (${UNUSED}),
         outdated AS (DELETE FROM unused_vectors n WHERE ${OUTDATED} RETURNING n.vector),
         dropped AS (
           DELETE FROM vectors WHERE store_id = $1 AND space = $2
             AND vector IN (SELECT vector FROM outdated) AND vector IN (SELECT vector FROM unused))
         INSERT INTO unused_vectors (store_id, space, vector, since)
           SELECT $1, $2, vector, $6 FROM (${UNNOTED}) u`,
        [...range, now],
      );
    });
  }
  return { storeId, space, vector: to };
}

/** Removes some rows that the index does not need any longer. */
export async function sweepIndex(connections: Connections): Promise<MaintenanceStep> {
  for (const sweep of [sweepSegments, sweepBuilds]) {
    const step = await sweep(connections);
    if (step.rows > 0) return step;
  }
  await releaseFailed(connections);
  return { rows: 0, more: false };
}
