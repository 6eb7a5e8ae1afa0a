/**
 * The part of a `WHERE` that keeps failed entries, over columns of `index_queue`. That they were tried
 * says the second condition alone; with the first one their own small index is used.
 */
export const IS_GIVEN_UP = "attempts > 0 AND due_at IS NULL";
