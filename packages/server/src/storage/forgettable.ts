/**
 * The part of a `WHERE` over `refresh_runs t` that keeps runs whose last batch could do no harm if it came (again)
 * after they were forgotten: every namespace of the store was refreshed since, so that it would be stale. Any other
 * that is over is remembered: applied alone, its last batch would clear what its parts had.
 */
export const IS_OVERTAKEN = `t.state <> 'open' AND t.sync_timestamp <
  (SELECT min(n.refreshed_at) FROM namespaces n WHERE n.store_id = t.store_id AND n.refreshed_at > 0)`;
