import type { MaintenanceStep } from "../background-step.ts";
import type { Forgetting } from "../port.ts";
import { IS_OVERTAKEN } from "../rules.ts";
import { STORE_TABLES } from "../store-tables.ts";
import { IS_CURRENT, isOf } from "../visibility.ts";
import { numberArray, textArray } from "./arrays.ts";
import type { Connections, Transaction } from "./connections.ts";
import { IS_ONE_OF } from "./lookups.ts";
import { dropUnused, PostgresRefreshRuns } from "./refresh-runs.ts";
import { lockStore } from "./store-lock.ts";

/** Rows per step; few, so that a sync never waits long for a step. */
const STEP_ROWS = 2000;
/** How many candidates a search for work reads; a step takes a random one, so that processes seldom collide. */
const CANDIDATES = 16;

const NOTHING: MaintenanceStep = { rows: 0, more: false };

/**
 * One step of work on a store that needs it.
 * @param look a query over all stores, without locks; its first column is the store
 * @param work the step, under the store lock; it must check again that there is work
 */
export async function stepOn(
  connections: Connections,
  look: { text: string; values?: unknown[] },
  work: (tx: Transaction, storeId: string, columns: unknown[]) => Promise<MaintenanceStep>,
): Promise<MaintenanceStep> {
  const candidates = await connections.transaction("read", (tx) =>
    tx.rows<[string, ...unknown[]]>(`${look.text} LIMIT ${CANDIDATES}`, look.values),
  );
  const candidate = candidates[Math.floor(Math.random() * candidates.length)];
  if (!candidate) return NOTHING;
  const [storeId, ...columns] = candidate;
  const step = await connections.transaction("write", async (tx) => {
    await lockStore(tx, storeId);
    return work(tx, storeId, columns);
  });
  return { rows: step.rows, more: step.more || candidates.length > 1 };
}

/**
 * Removes rows that no reader sees and no open run has staged, and the contents that no other row shares. One call is
 * one small step.
 */
export async function sweepNamespace(connections: Connections, now: number): Promise<MaintenanceStep> {
  const look = { text: "SELECT store_id, namespace FROM namespaces WHERE sweep_from IS NOT NULL" };
  return stepOn(connections, look, async (tx, storeId, [namespace]) => {
    type Found = [
      id: string,
      generation: number,
      version: number | null,
      indexed: number | null,
      kept: number,
    ];
    const rows = await tx.rows<Found>(
      `SELECT r.id, r.generation, r.version, r.indexed,
         (${IS_CURRENT} IS TRUE AND (r.version IS NOT NULL OR r.decided_at IS NOT NULL))
         OR EXISTS (SELECT 1 FROM refresh_run_namespaces o WHERE o.store_id = $1
           AND o.namespace = r.namespace AND ${isOf("o.generation")})
       FROM records r JOIN namespaces n ON n.store_id = r.store_id AND n.namespace = r.namespace
       WHERE r.store_id = $1 AND r.namespace = $2
         AND r.id >= (SELECT sweep_from FROM namespaces WHERE store_id = $1 AND namespace = $2)
       ORDER BY r.id, r.generation LIMIT ${STEP_ROWS}`,
      [storeId, namespace],
    );
    const dead = rows.filter(([, , , , kept]) => !kept);
    if (dead.length > 0) {
      await tx.rows(`DELETE FROM records r WHERE ${IS_ONE_OF}`, [
        storeId,
        textArray(dead.map(() => namespace as string)),
        textArray(dead.map(([id]) => id)),
        numberArray(dead.map(([, generation]) => generation)),
      ]);
    }
    const kept = rows.filter(([, , , , isKept]) => isKept);
    const keptVersions = new Set(kept.map(([, , version]) => version));
    const keptIndexed = new Set(kept.map(([, , , indexed]) => indexed));
    await dropUnused(tx, storeId, namespace as string, {
      contents: dead.flatMap(([id, , version]) =>
        version === null || keptVersions.has(version) ? [] : [{ id, version }],
      ),
      indexed: dead.flatMap(([id, , , version]) =>
        version === null || keptIndexed.has(version) ? [] : [{ id, version }],
      ),
      now,
    });
    // The next step starts at the last id again, because more of its rows may follow.
    const next = rows.length < STEP_ROWS ? null : rows.at(-1)![0];
    await tx.rows("UPDATE namespaces SET sweep_from = $3 WHERE store_id = $1 AND namespace = $2", [
      storeId,
      namespace,
      next,
    ]);
    return { rows: rows.length, more: true };
  });
}

/** Removes rows of deleted stores, one small step per call. */
export function sweepDeletedStore(connections: Connections): Promise<MaintenanceStep> {
  const look = {
    text: `SELECT s.id FROM vector_stores s JOIN store_revisions v ON v.store_id = s.id
      WHERE s.deleted_at IS NOT NULL`,
  };
  return stepOn(connections, look, async (tx, storeId) => {
    for (const [table] of STORE_TABLES) {
      const gone = await tx.rows(
        `DELETE FROM ${table} WHERE store_id = $1 AND ctid = ANY (ARRAY(
           SELECT ctid FROM ${table} WHERE store_id = $1 LIMIT ${STEP_ROWS})) RETURNING 1`,
        [storeId],
      );
      if (gone.length > 0) return { rows: gone.length, more: true };
    }
    await tx.rows("DELETE FROM store_revisions WHERE store_id = $1", [storeId]);
    return { rows: 1, more: true };
  });
}

/** Forgets some old rows of the first kind that has any. */
export async function forget(connections: Connections, before: Forgetting): Promise<MaintenanceStep> {
  const steps = [
    () => purgeTombstones(connections, before.tombstones),
    () => expireRuns(connections, before.openRuns),
    () => deleteOld(connections, "idempotency_keys", "t.created_at", before.answers),
    () => deleteOld(connections, "syncs", "t.received_at", before.history),
    () => deleteOld(connections, "refresh_runs", `${IS_OVERTAKEN} AND t.last_part_at`, before.history),
    () => forgetRequests(connections, before.answers),
  ];
  for (const step of steps) {
    const { rows, more } = await step();
    if (rows > 0) return { rows, more };
  }
  return NOTHING;
}

/**
 * Purges old tombstones; their namespaces remember the newest one. A namespace with an open run keeps its tombstones
 * until the run is over, because the run's figures depend on them. A store that is being imported has no revision yet
 * and is left alone, because its runs may still be missing.
 */
function purgeTombstones(connections: Connections, before: number): Promise<MaintenanceStep> {
  const old = (store: string) => `r.version IS NULL AND r.written_at < $1 AND r.decided_at IS NOT NULL
    AND NOT EXISTS (SELECT 1 FROM refresh_run_namespaces o WHERE o.store_id = ${store} AND o.namespace = r.namespace)`;
  const look = {
    text: `SELECT r.store_id FROM store_revisions v JOIN records r ON r.store_id = v.store_id WHERE ${old("r.store_id")}`,
    values: [before],
  };
  return stepOn(connections, look, async (tx, storeId) => {
    const purged = await tx.rows(
      `WITH purged AS (
         DELETE FROM records WHERE store_id = $2 AND ctid = ANY (ARRAY(
           SELECT r.ctid FROM records r WHERE r.store_id = $2 AND ${old("$2")} LIMIT ${STEP_ROWS}))
         RETURNING namespace, decided_at),
       newest AS (SELECT namespace, max(decided_at) AS decided_at FROM purged GROUP BY namespace),
       remembered AS (
         UPDATE namespaces n SET purged_at = greatest(n.purged_at, newest.decided_at)
         FROM newest WHERE n.store_id = $2 AND n.namespace = newest.namespace)
       SELECT 1 FROM purged`,
      [before, storeId],
    );
    return { rows: purged.length, more: purged.length === STEP_ROWS };
  });
}

/** Expires runs that never got their last batch. */
function expireRuns(connections: Connections, before: number): Promise<MaintenanceStep> {
  const old = "state = 'open' AND last_part_at < $1";
  const look = { text: `SELECT store_id FROM refresh_runs WHERE ${old}`, values: [before] };
  return stepOn(connections, look, async (tx, storeId) => {
    const runs = await tx.rows<[string]>(
      `SELECT run_id FROM refresh_runs WHERE store_id = $2 AND ${old} LIMIT ${STEP_ROWS}`,
      [before, storeId],
    );
    const ids = runs.map(([runId]) => runId);
    if (ids.length > 0) await new PostgresRefreshRuns(tx, storeId).end(ids, "expired");
    return { rows: runs.length, more: runs.length === STEP_ROWS };
  });
}

function deleteOld(
  connections: Connections,
  table: string,
  age: string,
  before: number,
): Promise<MaintenanceStep> {
  const look = { text: `SELECT t.store_id FROM ${table} t WHERE ${age} < $1`, values: [before] };
  // In a statement that changes rows, Citus needs a store condition on each table.
  const ageInStore = age.replaceAll("t.store_id", "$2");
  return stepOn(connections, look, async (tx, storeId) => {
    const gone = await tx.rows(
      `DELETE FROM ${table} WHERE store_id = $2 AND ctid = ANY (ARRAY(
         SELECT t.ctid FROM ${table} t WHERE t.store_id = $2 AND ${ageInStore} < $1 LIMIT ${STEP_ROWS})) RETURNING 1`,
      [before, storeId],
    );
    return { rows: gone.length, more: gone.length === STEP_ROWS };
  });
}

/** Deletes rate windows without a request since `before`. */
async function forgetRequests(connections: Connections, before: number): Promise<MaintenanceStep> {
  const gone = await connections.transaction("write", (tx) =>
    tx.rows(
      `DELETE FROM rate_windows WHERE rate_window IN
         (SELECT rate_window FROM rate_windows WHERE last_at < $1 LIMIT ${STEP_ROWS}) RETURNING 1`,
      [before],
    ),
  );
  return { rows: gone.length, more: gone.length === STEP_ROWS };
}
