import type { HousekeepingStep } from "../port.ts";
import type { Connections } from "./connections.ts";
import { stepOn } from "./housekeeping.ts";

/** Rows that one step removes, and blocks, which are larger: few, so that a sync never waits long behind it. */
const STEP_ROWS = 2000;
const STEP_BLOCKS = 500;

/** The blocks, and then the row, of segments that went into others, or that nobody goes on making. */
function sweepSegments(connections: Connections): Promise<HousekeepingStep> {
  const look = { text: "SELECT store_id, build, segment FROM segments WHERE state = 'merged'" };
  return stepOn(connections, look, async (tx, storeId, [build, segment]) => {
    const of = [storeId, build, segment];
    const gone = await tx.rows(
      `DELETE FROM segment_blocks WHERE store_id = $1 AND ctid = ANY (ARRAY(
         SELECT ctid FROM segment_blocks WHERE store_id = $1 AND build = $2 AND segment = $3
         LIMIT ${STEP_BLOCKS})) RETURNING 1`,
      of,
    );
    if (gone.length === STEP_BLOCKS) return { rows: gone.length, more: true };
    await tx.rows("DELETE FROM segments WHERE store_id = $1 AND build = $2 AND segment = $3", of);
    return { rows: gone.length + 1, more: true };
  });
}

/** Everything of builds that another one replaced, and at last their rows. */
function sweepBuilds(connections: Connections): Promise<HousekeepingStep> {
  const look = { text: "SELECT store_id, build FROM index_builds WHERE state = 'retired'" };
  return stepOn(connections, look, async (tx, storeId, [build]) => {
    const of = [storeId, build];
    for (const [table, rows] of [
      ["chunks", STEP_ROWS],
      ["segment_blocks", STEP_BLOCKS],
    ]) {
      const gone = await tx.rows(
        `DELETE FROM ${table} WHERE store_id = $1 AND ctid = ANY (ARRAY(
           SELECT ctid FROM ${table} WHERE store_id = $1 AND build = $2 LIMIT ${rows})) RETURNING 1`,
        of,
      );
      if (gone.length > 0) return { rows: gone.length, more: true };
    }
    for (const table of ["segments", "index_builds"])
      await tx.rows(`DELETE FROM ${table} WHERE store_id = $1 AND build = $2`, of);
    return { rows: 1, more: true };
  });
}

/** Lets marks go that were given up, whose content is gone since. */
function sweepMarks(connections: Connections): Promise<HousekeepingStep> {
  const isGone = (storeId: string) => `d.attempts > 0 AND d.due_at IS NULL AND NOT EXISTS
    (SELECT 1 FROM contents c WHERE c.store_id = ${storeId} AND c.version = d.version)`;
  const look = { text: `SELECT d.store_id FROM dirty_contents d WHERE ${isGone("d.store_id")}` };
  return stepOn(connections, look, async (tx, storeId) => {
    const let_ = await tx.rows(
      `UPDATE dirty_contents d SET due_at = 0 WHERE d.store_id = $1 AND ${isGone("$1")} RETURNING 1`,
      [storeId],
    );
    return { rows: let_.length, more: false };
  });
}

/** Removes some of what the index does not need any more. */
export async function sweepIndex(connections: Connections, _now: number): Promise<HousekeepingStep> {
  for (const sweep of [sweepSegments, sweepBuilds]) {
    const step = await sweep(connections);
    if (step.rows > 0) return step;
  }
  await sweepMarks(connections);
  return { rows: 0, more: false };
}
