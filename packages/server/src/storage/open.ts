import type { Migrated } from "./migrations.ts";
import type { Storage } from "./port.ts";

/** How a storage is opened; each engine takes what concerns it. */
export interface StorageOptions {
  /** SQLite: another thread copies the write-ahead log into the database. */
  backgroundCheckpoints?: boolean;
  /** PostgreSQL: connections at most, and how long one statement may take. */
  connections?: number;
  timeoutMs?: number;
  /** PostgreSQL: true if vectors are to be compared, which not every server can. */
  embeds?: boolean;
}

/** The schemes of the database URLs that name the embedded engine, and the server engine. */
export const isSqlite = (databaseUrl: string): boolean => databaseUrl.startsWith("file:");
const isPostgres = (databaseUrl: string) => /^postgres(ql)?:\/\//.test(databaseUrl);

/**
 * Opens the engine that a database URL names, and brings its schema up to date.
 * @throws Error for a URL of no engine, a database that cannot be reached, or one of a later version
 */
export async function openStorage(
  databaseUrl: string,
  { backgroundCheckpoints = false, connections = 5, timeoutMs = 10_000, embeds = false }: StorageOptions = {},
): Promise<Storage> {
  // Loaded as needed: a start waits for one engine only.
  if (isSqlite(databaseUrl)) {
    const { openSqlite } = await import("./sqlite/sqlite.ts");
    return openSqlite(databaseUrl, { backgroundCheckpoints });
  }
  if (isPostgres(databaseUrl)) {
    const { openPostgres } = await import("./postgres/postgres.ts");
    return openPostgres(databaseUrl, { connections, timeoutMs, embeds });
  }
  throw unknownEngine();
}

/**
 * Brings a database's schema up to date, as opening it does, and closes it.
 * @param options.citus true: distributes it over its Citus cluster, with the rows that it has
 * @throws Error as {@link openStorage}; if it is to be distributed and cannot be
 */
export async function migrateDatabase(databaseUrl: string, options: { citus: boolean }): Promise<Migrated> {
  if (isPostgres(databaseUrl)) {
    const { migratePostgres } = await import("./postgres/migrate.ts");
    return migratePostgres(databaseUrl, options);
  }
  if (!isSqlite(databaseUrl)) throw unknownEngine();
  if (options.citus) throw new Error("Only a PostgreSQL with Citus can be distributed.");
  const { migrateSqlite } = await import("./sqlite/migrate.ts");
  return migrateSqlite(databaseUrl);
}

const unknownEngine = () =>
  new Error(
    "TIDEMARK_DATABASE_URL must begin with file: (such as file:./tidemark-data/tidemark.db) or postgres://.",
  );
