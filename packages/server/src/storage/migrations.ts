import { readdirSync, readFileSync } from "node:fs";

export interface Migration {
  number: number;
  sql: string;
}

/** What a schema upgrade did. */
export interface Migrated {
  /** The number of the last migration before; 0: none. */
  from: number;
  /** The number of the last migration now. */
  to: number;
  /** Tables that were distributed over a Citus cluster. */
  distributed: string[];
}

/** The numbered migrations of a folder (`000002.sql`, `000003.sql`, …) in order. */
export function readMigrations(folder: URL): Migration[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".sql"))
    .sort()
    .map((name) => ({ number: Number.parseInt(name, 10), sql: readFileSync(new URL(name, folder), "utf8") }));
}

/**
 * The migrations that a database still needs.
 * @param applied the number of the database's last migration; 0 for an empty database
 * @throws if the database is newer than this program, or older than its first migration
 */
export function pendingMigrations(migrations: Migration[], applied: number): Migration[] {
  const oldest = migrations[0]!.number;
  if (applied > 0 && applied < oldest) {
    throw new Error(
      `An older version of Tidemark created this database (schema ${applied}); this version needs schema ${oldest} or newer. ` +
        "Export it with that version (tidemark export), then import it into a new database with this version (tidemark import).",
    );
  }
  const newest = migrations.at(-1)?.number ?? 0;
  if (applied > newest) {
    throw new Error(
      `The database has schema ${applied}, but this version of Tidemark knows schemas up to ${newest}. ` +
        "Start the version that upgraded the database, or a newer one.",
    );
  }
  return migrations.filter(({ number }) => number > applied);
}
