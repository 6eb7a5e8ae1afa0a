/**
 * The tables that have rows of vector stores, each with the rest of its key behind `store_id`, in the order in which
 * a deleted store's rows go. `store_revisions` goes last: a store that has no row there has nothing left.
 */
export const STORE_TABLES: [table: string, key: string][] = [
  ["records", "namespace, id, generation"],
  ["contents", "version"],
  ["dirty_contents", "version"],
  ["refresh_run_parts", "run_id, part"],
  ["refresh_run_marks", "run_id, namespace, id, kind"],
  ["refresh_run_namespaces", "namespace, run_id"],
  ["refresh_runs", "run_id"],
  ["idempotency_keys", "connector_id, key"],
  ["syncs", "revision"],
  ["namespaces", "namespace"],
];
