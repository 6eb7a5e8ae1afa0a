/** How long a claim lasts; the indexer renews it while it works on the entries. */
export const LEASE_MS = 30_000;
