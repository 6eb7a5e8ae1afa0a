/** A table that has rows of vector stores, and the rest of its key behind `store_id`. */
export type StoreTable = [table: string, key: string];

/** The ledger's, in the order in which a deleted store's rows go. */
export const LEDGER_TABLES: StoreTable[] = [
  ["records", "namespace, id, generation"],
  ["contents", "version"],
  ["refresh_run_parts", "run_id, part"],
  ["refresh_run_exceptions", "run_id, namespace, id, kind"],
  ["refresh_run_namespaces", "namespace, run_id"],
  ["refresh_runs", "run_id"],
  ["idempotency_keys", "connector_id, key"],
  ["syncs", "revision"],
  ["namespaces", "namespace"],
];

/** The index's: they can be made anew of the ledger's. */
export const INDEX_TABLES: StoreTable[] = [
  ["index_queue", "version"],
  ["chunks", "build, chunk"],
  ["segment_blocks", "build, segment, first_term"],
  ["segments", "build, segment"],
  ["unused_vectors", "space, vector"],
  ["vectors", "space, vector"],
  ["index_builds", "build"],
];

/** All that every engine has. `store_revisions` goes last: a store that has no row there has nothing left. */
export const STORE_TABLES: StoreTable[] = [...LEDGER_TABLES, ...INDEX_TABLES];
/** And on SQLite. */
export const SQLITE_STORE_TABLES: StoreTable[] = [...STORE_TABLES, ["vector_codes", "space, block"]];
