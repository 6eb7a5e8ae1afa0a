/** A table with rows of vector stores, and its key's columns after `store_id`. */
export type StoreTable = [table: string, key: string];

/** The ledger's tables, in the order in which a deleted store's rows are removed. */
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

/** The index's tables, which can be rebuilt from the ledger's. */
export const INDEX_TABLES: StoreTable[] = [
  ["index_queue", "version"],
  ["chunks", "build, chunk"],
  ["segment_blocks", "build, segment, first_term"],
  ["segments", "build, segment"],
  ["unused_vectors", "space, vector"],
  ["vectors", "space, vector"],
  ["index_builds", "build"],
];

/** The tables of every engine, except `store_revisions`: a store without a row there has no other rows left. */
export const STORE_TABLES: StoreTable[] = [...LEDGER_TABLES, ...INDEX_TABLES];
/** The tables on SQLite. */
export const SQLITE_STORE_TABLES: StoreTable[] = [...STORE_TABLES, ["vector_codes", "space, block"]];
