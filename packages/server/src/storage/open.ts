import type { Migrated } from "./migrations.ts";
import type { Storage } from "./port.ts";

/** Options for opening a storage; each engine uses those that apply to it. */
export interface StorageOptions {
  /** SQLite: another thread copies the write-ahead log into the database. */
  backgroundCheckpoints?: boolean;
  /** PostgreSQL: the maximum number of connections. */
  connections?: number;
  /** PostgreSQL: how long one statement may take. */
  timeoutMs?: number;
  /** PostgreSQL: true if the server embeds, which makes missing pgvector a warning. */
  embeds?: boolean;
}

/** Whether a database URL names the embedded engine. */
export const isSqlite = (databaseUrl: string): boolean => databaseUrl.startsWith("file:");
const isPostgres = (databaseUrl: string) => /^postgres(ql)?:\/\//.test(databaseUrl);

/**
 * Opens the engine that a database URL names, and upgrades its schema.
 * @throws Error if the URL names no engine, the database cannot be reached, or its schema is too old or too new
 */
export async function openStorage(
  databaseUrl: string,
  { backgroundCheckpoints = false, connections = 5, timeoutMs = 10_000, embeds = false }: StorageOptions = {},
): Promise<Storage> {
  // Engines are loaded on demand, so that a start loads only one.
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
 * Upgrades a database's schema, as opening it does, and closes it.
 * @param options.citus true: distributes its tables and their rows over its Citus cluster
 * @throws Error as {@link openStorage}, or if it cannot be distributed
 */
export async function migrateDatabase(databaseUrl: string, options: { citus: boolean }): Promise<Migrated> {
  if (isPostgres(databaseUrl)) {
    const { migratePostgres } = await import("./postgres/migrate.ts");
    return migratePostgres(databaseUrl, options);
  }
  if (!isSqlite(databaseUrl)) throw unknownEngine();
  if (options.citus) throw new Error("Only PostgreSQL with Citus can distribute tables.");
  const { migrateSqlite } = await import("./sqlite/migrate.ts");
  return migrateSqlite(databaseUrl);
}

const unknownEngine = () =>
  new Error(
    "TIDEMARK_DATABASE_URL must begin with file: (such as file:./tidemark-data/tidemark.db) or postgres://.",
  );
