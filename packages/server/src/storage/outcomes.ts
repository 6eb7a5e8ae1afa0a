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
