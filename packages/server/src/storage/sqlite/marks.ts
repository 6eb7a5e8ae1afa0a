/** Tells the index to look at a version (?2) of a record (?3, ?4) of a store (?1), now (?5). */
export const MARK_DIRTY =
  "INSERT OR IGNORE INTO dirty_contents (store_id, version, namespace, id, marked_at) VALUES (?1, ?2, ?3, ?4, ?5)";
