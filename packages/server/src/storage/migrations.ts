import { readdirSync, readFileSync } from "node:fs";

export interface Migration {
  number: number;
  sql: string;
}

/** What bringing a schema up to date did. */
export interface Migrated {
  /** The number of the last migration that it had, 0 for none, and that it has now. */
  from: number;
  to: number;
  /** Tables that were distributed over a Citus cluster. */
  distributed: string[];
}

/** The numbered migrations of a folder (`000001.sql`, `000002.sql`, …) in order. */
export function readMigrations(folder: URL): Migration[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith(".sql"))
    .sort()
    .map((name) => ({ number: Number.parseInt(name, 10), sql: readFileSync(new URL(name, folder), "utf8") }));
}

/**
 * Which migrations a database still needs.
 * @param applied the number of the last one it has; 0 for an empty database
 * @throws if the database is newer than this program
 */
export function pendingMigrations(migrations: Migration[], applied: number): Migration[] {
  const newest = migrations.at(-1)?.number ?? 0;
  if (applied > newest) {
    throw new Error(
      `The database has schema ${applied}, but this version of Tidemark knows schemas up to ${newest}. ` +
        "Start the version that upgraded it, or a newer one.",
    );
  }
  return migrations.filter(({ number }) => number > applied);
}
