import type { MaintenanceStep } from "../background-step.ts";
import { IS_FAILED } from "../rules.ts";
import type { Connection } from "./connection.ts";
import { dropCodes } from "./vectors.ts";

/** Rows per step; few, so that a sync never waits long for a step. */
const STEP_ROWS = 500;
/** How long an unused vector is kept, because its text may come again. */
const UNUSED_VECTOR_MS = 24 * 3_600_000;

/** Removes some unneeded rows of one kind. @returns how many */
type Sweep = (connection: Connection, now: number) => number;

/** Removes the blocks, and then the row, of a segment that was merged or whose making was abandoned. */
const sweepSegments: Sweep = (connection) => {
  const merged = connection
    .statement("SELECT store_id, build, segment FROM segments WHERE state = 'merged' LIMIT 1")
    .get() as { store_id: string; build: number; segment: number } | undefined;
  if (!merged) return 0;
  const { store_id, build, segment } = merged;
  const blocks = connection.statement(
    `DELETE FROM segment_blocks WHERE rowid IN
       (SELECT rowid FROM segment_blocks WHERE store_id = ?1 AND build = ?2 AND segment = ?3 LIMIT ${STEP_ROWS})`,
  );
  const { changes } = blocks.run(store_id, build, segment);
  if (changes) return Number(changes);
  const drop = "DELETE FROM segments WHERE store_id = ?1 AND build = ?2 AND segment = ?3";
  return Number(connection.statement(drop).run(store_id, build, segment).changes);
};

/** Removes all rows of a retired build, and its own row last. */
const sweepBuilds: Sweep = (connection) => {
  const retired = connection
    .statement("SELECT store_id, build FROM index_builds WHERE state = 'retired' LIMIT 1")
    .get() as { store_id: string; build: number } | undefined;
  if (!retired) return 0;
  const { store_id, build } = retired;
  for (const table of ["chunks", "segment_blocks"]) {
    const { changes } = connection
      .statement(
        `DELETE FROM ${table} WHERE rowid IN
           (SELECT rowid FROM ${table} WHERE store_id = ?1 AND build = ?2 LIMIT ${STEP_ROWS})`,
      )
      .run(store_id, build);
    if (changes) return Number(changes);
  }
  for (const table of ["segments", "index_builds"])
    connection.statement(`DELETE FROM ${table} WHERE store_id = ?1 AND build = ?2`).run(store_id, build);
  return 1;
};

/** Makes failed entries due if their content is gone. */
const releaseFailed: Sweep = (connection) => {
  const { changes } = connection
    .statement(
      `UPDATE index_queue SET due_at = 0 WHERE ${IS_FAILED} AND NOT EXISTS
         (SELECT 1 FROM contents c WHERE c.store_id = index_queue.store_id AND c.version = index_queue.version)`,
    )
    .run();
  return Number(changes);
};

/**
 * Checks the next vectors, and removes those that no chunk has had for a day.
 * @param from the row behind which it continues; 0: from the beginning
 * @returns the last row that it checked; 0 at the end
 */
export function sweepVectors(connection: Connection, from: number, now: number): number {
  const sql = (text: string) => connection.statement(text);
  const rows = sql(
    `SELECT v.rowid AS row, v.store_id, v.space, v.vector, u.since, NOT EXISTS (
       SELECT 1 FROM index_builds b CROSS JOIN chunks c INDEXED BY chunks_by_vector
         ON c.store_id = b.store_id AND c.build = b.build AND c.vector = v.vector AND c.vector IS NOT NULL
       WHERE b.store_id = v.store_id AND b.space = v.space) AS unused
     FROM vectors v LEFT JOIN unused_vectors u
       ON u.store_id = v.store_id AND u.space = v.space AND u.vector = v.vector
     WHERE v.rowid > ?1 ORDER BY v.rowid LIMIT ${STEP_ROWS}`,
  ).all(from) as unknown as VectorRow[];
  const note = sql("INSERT INTO unused_vectors (store_id, space, vector, since) VALUES (?1, ?2, ?3, ?4)");
  const forget = sql("DELETE FROM unused_vectors WHERE store_id = ?1 AND space = ?2 AND vector = ?3");
  const drop = sql("DELETE FROM vectors WHERE rowid = ?1");
  const dropped: VectorRow[] = [];
  for (const vectorRow of rows) {
    const { row, store_id, space, vector, since, unused } = vectorRow;
    if (since === null) {
      if (unused) note.run(store_id, space, vector, now);
    } else if (!unused || since < now - UNUSED_VECTOR_MS) {
      forget.run(store_id, space, vector);
      if (unused) {
        drop.run(row);
        dropped.push(vectorRow);
      }
    }
  }
  dropCodes(connection, dropped);
  return rows.length < STEP_ROWS ? 0 : rows.at(-1)!.row;
}

interface VectorRow {
  row: number;
  store_id: string;
  space: number;
  vector: number;
  since: number | null;
  unused: number;
}

/** Removes some rows that the index does not need any longer. */
export function sweepIndex(connection: Connection, now: number): MaintenanceStep {
  for (const sweep of [sweepSegments, sweepBuilds]) {
    const rows = sweep(connection, now);
    if (rows > 0) return { rows, more: true };
  }
  releaseFailed(connection, now);
  return { rows: 0, more: false };
}
