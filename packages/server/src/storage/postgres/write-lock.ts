/** Takes the lock, until the transaction ends, for changes of organizations, stores, connectors, keys or the schema. */
export const writeLock = (schema: string): string =>
  `SELECT pg_advisory_xact_lock(hashtextextended('tidemark ${schema}', 0))`;
