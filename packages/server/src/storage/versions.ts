/** Versions of contents are numbered within a store's revisions: more of them than a sync has operations. */
export const VERSIONS_PER_REVISION = 8192;

/** The first version that no sync up to a revision has. */
export const versionsEnd = (revision: number): number => (revision + 1) * VERSIONS_PER_REVISION;
