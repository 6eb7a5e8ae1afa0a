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
