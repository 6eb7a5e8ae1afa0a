/**
 * The part of a `WHERE` that keeps failed entries, over columns of `index_queue`: they wait until an operator retries
 * them. The second condition alone says so; the first one makes their own small index usable.
 */
export const IS_FAILED = "attempts > 0 AND due_at IS NULL";

/** The part that keeps the entries that the indexer is still to settle. */
export const IS_PENDING = "due_at IS NOT NULL";
