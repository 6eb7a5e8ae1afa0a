import type { NamespaceState } from "./port.ts";

/** The rules that both engines must agree on, most of them conditions in SQL. Which rows are current: visibility.ts. */

/** Where a namespace stands that no sync has named yet. */
export const NEW_NAMESPACE: Omit<NamespaceState, "namespace"> = {
  generation: 0,
  nextGeneration: 1,
  refreshedAt: 0n,
  newestAt: 0n,
  purgedAt: 0n,
  records: 0,
  digest: 0n,
};

/**
 * What a staged row would do, as ledger/order.ts decides it for one: conditions over the columns `version` and `hash`
 * of the staged row, and `current_version` and `current_hash` of the record's current one.
 */
export const CHANGES = {
  created: "version IS NOT NULL AND current_version IS NULL",
  updated: "hash <> current_hash",
  unchanged: "hash = current_hash",
  removed: "version IS NULL AND current_version IS NOT NULL",
  absent: "version IS NULL AND current_version IS NULL",
};

/** Columns that count them. */
export const COUNTED_CHANGES = Object.entries(CHANGES)
  .map(([name, is]) => `count(*) FILTER (WHERE ${is}) AS ${name}`)
  .join(", ");

/**
 * The part of a `WHERE` that keeps failed entries, over columns of `index_queue`: they wait until an operator retries
 * them. The second condition alone says so; the first one makes their own small index usable.
 */
export const IS_FAILED = "attempts > 0 AND due_at IS NULL";

/** The part that keeps the entries that the indexer is still to settle. */
export const IS_PENDING = "due_at IS NOT NULL";

/** Versions of contents are numbered within a store's revisions: more of them than a sync has operations. */
export const VERSIONS_PER_REVISION = 8192;

/** The first version that no sync up to a revision has. */
export const versionsEnd = (revision: number): number => (revision + 1) * VERSIONS_PER_REVISION;

/**
 * The part of a `WHERE` over `refresh_runs t` that keeps runs whose last batch could do no harm if it came (again)
 * after they were forgotten: every namespace of the store was refreshed since, so that it would be stale. Any other
 * that is over is remembered: applied alone, its last batch would clear what its parts had.
 */
export const IS_OVERTAKEN = `t.state <> 'open' AND t.sync_timestamp <
  (SELECT min(n.refreshed_at) FROM namespaces n WHERE n.store_id = t.store_id AND n.refreshed_at > 0)`;

/**
 * A store that is being imported belongs to an organization that nobody has a key for, until it is whole: no caller can
 * reach it, its id is taken, and neither the index nor maintenance touch it. The id of that organization begins so; no
 * id that a person chooses has a colon.
 */
export const IMPORT_PREFIX = "org_import:";

/** The part of a `WHERE` that keeps organizations, by their id, that are not such a waiting room. */
export const isNoImport = (column: string): string => `${column} NOT LIKE '${IMPORT_PREFIX}%'`;

/** The part of a `WHERE` that keeps stores that callers can reach: `s` is a row of vector_stores. */
export const IS_SERVED = `s.deleted_at IS NULL AND ${isNoImport("s.organization_id")}`;
