/** Adds a version (?2) of a record (?3, ?4) of a store (?1) to the index queue at a time (?5). */
export const ENQUEUE =
  "INSERT OR IGNORE INTO index_queue (store_id, version, namespace, id, queued_at) VALUES (?1, ?2, ?3, ?4, ?5)";
