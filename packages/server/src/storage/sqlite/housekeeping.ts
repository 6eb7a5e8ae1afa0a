import type { HousekeepingStep } from "../port.ts";
import type { Connection } from "./connection.ts";
import { IS_CURRENT } from "./ledger.ts";

/** Rows that one step looks at: small, so that a sync never waits long behind it. */
const STEP_ROWS = 2000;

const NOTHING: HousekeepingStep = { rows: 0, more: false };

/** Removes rows of older generations, with the contents that no current row shares, one small step a call. */
export function sweepNamespace(connection: Connection, now: number): HousekeepingStep {
  const sql = (text: string) => connection.statement(text);
  const next = sql(
    `SELECT n.store_id, n.namespace, coalesce(n.sweep_generation, n.generation) AS target, n.sweep_after
     FROM namespaces n WHERE n.swept_generation < n.generation LIMIT 1`,
  ).get() as { store_id: string; namespace: string; target: number; sweep_after: string | null } | undefined;
  if (!next) return NOTHING;
  const { store_id: store, namespace, target } = next;
  const after = next.sweep_after ?? "";
  const rows = sql(
    `SELECT r.id, r.generation, r.version, ${IS_CURRENT} IS TRUE AS current
     FROM records r JOIN namespaces n ON n.store_id = r.store_id AND n.namespace = r.namespace
     WHERE r.store_id = ?1 AND r.namespace = ?2 AND r.id > ?3 ORDER BY r.id, r.generation LIMIT ${STEP_ROWS}`,
  ).all(store, namespace, after) as {
    id: string;
    generation: number;
    version: number | null;
    current: number;
  }[];
  const done = rows.length < STEP_ROWS;
  const last = rows.at(-1)?.id;
  // The rows of one id are judged together: a group that the limit cut through is left to the next step.
  const whole = done || rows[0]?.id === last ? rows : rows.filter(({ id }) => id !== last);
  const kept = new Set(whole.filter((row) => row.current).map((row) => row.version));
  const dropRow = sql(
    "DELETE FROM records WHERE store_id = ?1 AND namespace = ?2 AND id = ?3 AND generation = ?4",
  );
  const dropContent = sql("DELETE FROM contents WHERE store_id = ?1 AND version = ?2");
  const markDirty = sql("INSERT OR IGNORE INTO dirty_contents VALUES (?1, ?2, ?3, ?4, ?5)");
  for (const row of whole) {
    if (row.current) continue;
    dropRow.run(store, namespace, row.id, row.generation);
    if (row.version === null || kept.has(row.version)) continue;
    dropContent.run(store, row.version);
    markDirty.run(store, row.version, namespace, row.id, now);
  }
  if (done) {
    sql(
      `UPDATE namespaces SET swept_generation = ?3, sweep_generation = NULL, sweep_after = NULL
       WHERE store_id = ?1 AND namespace = ?2`,
    ).run(store, namespace, target);
  } else {
    sql(
      `UPDATE namespaces SET sweep_generation = ?3, sweep_after = ?4 WHERE store_id = ?1 AND namespace = ?2`,
    ).run(store, namespace, target, whole.at(-1)!.id);
  }
  return { rows: whole.length, more: true };
}

/** Removes what deleted stores left behind, one small step a call. */
export function sweepDeletedStore(connection: Connection): HousekeepingStep {
  const sql = (text: string) => connection.statement(text);
  const store = sql(
    `SELECT s.id FROM vector_stores s JOIN store_revisions v ON v.store_id = s.id
     WHERE s.deleted_at IS NOT NULL LIMIT 1`,
  ).get()?.id as string | undefined;
  if (store === undefined) return NOTHING;
  const tables = [
    ["records", "namespace, id, generation"],
    ["contents", "version"],
    ["dirty_contents", "version"],
    ["namespaces", "namespace"],
  ];
  for (const [table, key] of tables) {
    const { changes } = sql(
      `DELETE FROM ${table} WHERE store_id = ?1 AND (${key}) IN
         (SELECT ${key} FROM ${table} WHERE store_id = ?1 LIMIT ${STEP_ROWS})`,
    ).run(store);
    if (changes) return { rows: Number(changes), more: true };
  }
  sql("DELETE FROM store_revisions WHERE store_id = ?1").run(store);
  return { rows: 1, more: true };
}

/** Forgets tombstones that arrived before a moment; their namespaces remember the newest of them. */
export function purgeTombstones(connection: Connection, before: number): HousekeepingStep {
  const sql = (text: string) => connection.statement(text);
  const rows = sql(
    `SELECT r.store_id, r.namespace, r.id, r.generation, CAST(r.decided_at AS TEXT) AS decided_at
     FROM vector_stores s JOIN records r ON r.store_id = s.id
     WHERE r.version IS NULL AND r.written_at < ?1 LIMIT ${STEP_ROWS}`,
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
