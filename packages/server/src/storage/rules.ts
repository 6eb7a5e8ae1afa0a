import type { NamespaceState } from "./port.ts";

/** Rules that both engines share, most of them SQL conditions; visibility.ts has the rule for current rows. */

/** The state of a namespace that no sync has named yet. */
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
 * SQL conditions for what a staged row would do, as `changeOf` in ledger/order.ts decides it. They use `version` and
 * `hash` of the staged row, and `current_version` and `current_hash` of the record's current row.
 */
export const CHANGES = {
  created: "version IS NOT NULL AND current_version IS NULL",
  updated: "hash <> current_hash",
  unchanged: "hash = current_hash",
  removed: "version IS NULL AND current_version IS NOT NULL",
  absent: "version IS NULL AND current_version IS NULL",
};

/** Columns that count each change. */
export const COUNTED_CHANGES = Object.entries(CHANGES)
  .map(([name, condition]) => `count(*) FILTER (WHERE ${condition}) AS ${name}`)
  .join(", ");

/**
 * SQL condition for failed entries of `index_queue`, which wait until an operator retries them. `due_at IS NULL` alone
 * would suffice; `attempts > 0` lets the database use the small index of failed entries.
 */
export const IS_FAILED = "attempts > 0 AND due_at IS NULL";

/** SQL condition for entries that the indexer still has to settle. */
export const IS_PENDING = "due_at IS NOT NULL";

/** How many versions of contents each revision of a store reserves: more than a sync has operations. */
export const VERSIONS_PER_REVISION = 8192;

/** The first version after those of all syncs up to a revision. */
export const versionsEnd = (revision: number): number => (revision + 1) * VERSIONS_PER_REVISION;

/**
 * SQL condition over `refresh_runs t` for runs that may be forgotten: every namespace of the store was refreshed since,
 * so a late last batch would be stale. Any other run that is over must be remembered: if its last batch were applied
 * alone, it would clear the records of the other parts.
 */
export const IS_OVERTAKEN = `t.state <> 'open' AND t.sync_timestamp <
  (SELECT min(n.refreshed_at) FROM namespaces n WHERE n.store_id = t.store_id AND n.refreshed_at > 0)`;

/**
 * The prefix of the organization that owns a store while it is being imported. The organization has no keys, so no
 * caller reaches the store, its id is taken, and neither the indexer nor maintenance touches it. Ids that people choose
 * have no colon.
 */
export const IMPORT_PREFIX = "org_import:";

/** SQL condition for organization ids that are not those of an import. */
export const isNoImport = (column: string): string => `${column} NOT LIKE '${IMPORT_PREFIX}%'`;

/** SQL condition over `vector_stores s` for stores that callers can reach. */
export const IS_SERVED = `s.deleted_at IS NULL AND ${isNoImport("s.organization_id")}`;
