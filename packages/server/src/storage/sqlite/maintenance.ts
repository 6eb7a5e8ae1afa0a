import type { MaintenanceStep } from "../background-step.ts";
import type { Forgetting } from "../port.ts";
import { IS_OVERTAKEN } from "../rules.ts";
import { SQLITE_STORE_TABLES } from "../store-tables.ts";
import { IS_CURRENT, isOf } from "../visibility.ts";
import type { Connection } from "./connection.ts";
import { ENQUEUE } from "./enqueue.ts";
import { DROP_UNUSED, SqliteRefreshRuns } from "./refresh-runs.ts";

/** Rows per step; few, so that a sync never waits long for a step. */
const STEP_ROWS = 2000;

interface SweptRow {
  id: string;
  generation: number;
  version: number | null;
  indexed: number | null;
  kept: number;
}

const NOTHING: MaintenanceStep = { rows: 0, more: false };

/**
 * Removes rows that no reader sees and no open run has staged, and the contents that no other row shares. One call is
 * one small step.
 */
export function sweepNamespace(connection: Connection, now: number): MaintenanceStep {
  const sql = (text: string) => connection.statement(text);
  const unswept = sql(
    // A random one, so that a namespace that is refreshed all the time does not keep the others waiting.
    "SELECT store_id, namespace, sweep_from FROM namespaces WHERE sweep_from IS NOT NULL ORDER BY random() LIMIT 1",
  ).get() as { store_id: string; namespace: string; sweep_from: string } | undefined;
  if (!unswept) return NOTHING;
  const { store_id: store, namespace, sweep_from: from } = unswept;
  const rows = sql(
    `SELECT r.id, r.generation, r.version, r.indexed,
       (${IS_CURRENT} IS TRUE AND (r.version IS NOT NULL OR r.decided_at IS NOT NULL))
       OR EXISTS (SELECT 1 FROM refresh_run_namespaces o WHERE o.store_id = r.store_id
         AND o.namespace = r.namespace AND ${isOf("o.generation")}) AS kept
     FROM records r JOIN namespaces n ON n.store_id = r.store_id AND n.namespace = r.namespace
     WHERE r.store_id = ?1 AND r.namespace = ?2 AND r.id >= ?3 ORDER BY r.id, r.generation LIMIT ${STEP_ROWS}`,
  ).all(store, namespace, from) as unknown as SweptRow[];
  const dropRow = sql(
    "DELETE FROM records WHERE store_id = ?1 AND namespace = ?2 AND id = ?3 AND generation = ?4",
  );
  const dropUnused = sql(DROP_UNUSED);
  const enqueue = sql(ENQUEUE);
  const kept = rows.filter((row) => row.kept);
  const keptVersions = new Set(kept.map(({ version }) => version));
  const keptIndexed = new Set(kept.map(({ indexed }) => indexed));
  for (const { id, generation, version, indexed, kept } of rows) {
    if (kept) continue;
    dropRow.run(store, namespace, id, generation);
    if (version !== null && !keptVersions.has(version)) dropUnused.run(store, namespace, id, version);
    if (indexed !== null && !keptIndexed.has(indexed)) enqueue.run(store, indexed, namespace, id, now);
  }
  // The next step starts at the last id again, because more of its rows may follow.
  const next = rows.length < STEP_ROWS ? null : rows.at(-1)!.id;
  sql("UPDATE namespaces SET sweep_from = ?3 WHERE store_id = ?1 AND namespace = ?2").run(
    store,
    namespace,
    next,
  );
  return { rows: rows.length, more: true };
}

/** Removes rows of deleted stores, one small step per call. */
export function sweepDeletedStore(connection: Connection): MaintenanceStep {
  const sql = (text: string) => connection.statement(text);
  const store = sql(
    `SELECT s.id FROM vector_stores s JOIN store_revisions v ON v.store_id = s.id
     WHERE s.deleted_at IS NOT NULL LIMIT 1`,
  ).get()?.id as string | undefined;
  if (store === undefined) return NOTHING;
  for (const [table, key] of SQLITE_STORE_TABLES) {
    const { changes } = sql(
      `DELETE FROM ${table} WHERE store_id = ?1 AND (${key}) IN
         (SELECT ${key} FROM ${table} WHERE store_id = ?1 LIMIT ${STEP_ROWS})`,
    ).run(store);
    if (changes) return { rows: Number(changes), more: true };
  }
  sql("DELETE FROM store_revisions WHERE store_id = ?1").run(store);
  return { rows: 1, more: true };
}

/** Forgets some old rows of the first kind that has any. */
export function forget(connection: Connection, before: Forgetting): MaintenanceStep {
  const steps = [
    () => purgeTombstones(connection, before.tombstones),
    () => expireRuns(connection, before.openRuns),
    () => deleteOld(connection, "idempotency_keys", "connector_id, key", "t.created_at", before.answers),
    () => deleteOld(connection, "syncs", "revision", "t.received_at", before.history),
    () =>
      deleteOld(connection, "refresh_runs", "run_id", `${IS_OVERTAKEN} AND t.last_part_at`, before.history),
  ];
  for (const step of steps) {
    const { rows, more } = step();
    if (rows > 0) return { rows, more };
  }
  return NOTHING;
}

/**
 * Purges old tombstones; their namespaces remember the newest one. A namespace with an open run keeps its tombstones
 * until the run is over, because the run's figures depend on them. A store that is being imported has no revision yet
 * and is left alone, because its runs may still be missing.
 */
function purgeTombstones(connection: Connection, before: number): MaintenanceStep {
  const sql = (text: string) => connection.statement(text);
  const rows = sql(
    `SELECT r.store_id, r.namespace, r.id, r.generation, CAST(r.decided_at AS TEXT) AS decided_at
     FROM store_revisions v JOIN records r ON r.store_id = v.store_id
     WHERE r.version IS NULL AND r.written_at < ?1 AND r.decided_at IS NOT NULL AND NOT EXISTS
       (SELECT 1 FROM refresh_run_namespaces o WHERE o.store_id = r.store_id AND o.namespace = r.namespace)
     LIMIT ${STEP_ROWS}`,
  ).all(before) as {
    store_id: string;
    namespace: string;
    id: string;
    generation: number;
    decided_at: string;
  }[];
  const drop = sql(
    "DELETE FROM records WHERE store_id = ?1 AND namespace = ?2 AND id = ?3 AND generation = ?4",
  );
  const remember = sql(
    "UPDATE namespaces SET purged_at = max(purged_at, ?3) WHERE store_id = ?1 AND namespace = ?2",
  );
  for (const row of rows) {
    drop.run(row.store_id, row.namespace, row.id, row.generation);
    remember.run(row.store_id, row.namespace, BigInt(row.decided_at));
  }
  return { rows: rows.length, more: rows.length === STEP_ROWS };
}

/** Expires runs that never got their last batch. */
function expireRuns(connection: Connection, before: number): MaintenanceStep {
  const rows = connection
    .statement(
      `SELECT r.store_id, r.run_id FROM vector_stores s JOIN refresh_runs r ON r.store_id = s.id
       WHERE r.state = 'open' AND r.last_part_at < ?1 LIMIT ${STEP_ROWS}`,
    )
    .all(before) as { store_id: string; run_id: string }[];
  for (const { store_id, run_id } of rows)
    new SqliteRefreshRuns(connection, store_id).endNow(run_id, "expired");
  return { rows: rows.length, more: rows.length === STEP_ROWS };
}

function deleteOld(
  connection: Connection,
  table: string,
  key: string,
  age: string,
  before: number,
): MaintenanceStep {
  const { changes } = connection
    .statement(
      `DELETE FROM ${table} WHERE (store_id, ${key}) IN
         (SELECT t.store_id, ${key} FROM vector_stores s JOIN ${table} t ON t.store_id = s.id
          WHERE ${age} < ?1 LIMIT ${STEP_ROWS})`,
    )
    .run(before);
  return { rows: Number(changes), more: Number(changes) === STEP_ROWS };
}
