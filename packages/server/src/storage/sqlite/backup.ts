import { closeSync, existsSync, openSync, rmSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { sqlitePath } from "./path.ts";

/**
 * Writes a consistent copy of a database that may be in use, and checks the copy. The copy is one read transaction, so
 * it finishes under any load; SQLite's page-wise backup starts again whenever another process writes.
 * @param path where the copy goes; an existing file is replaced
 * @throws Error if there is no database, or the copy is damaged
 */
export function backUpSqlite(databaseUrl: string, path: string): void {
  const from = sqlitePath(databaseUrl);
  if (!existsSync(from)) throw new Error(`There is no database ${from}.`);
  rmSync(path, { force: true });
  // The copy gets the database's permissions: VACUUM INTO accepts an empty file.
  closeSync(openSync(path, "wx", statSync(from).mode & 0o777));
  const database = new DatabaseSync(from, { readOnly: true });
  try {
    database.prepare("VACUUM INTO ?").run(path);
  } finally {
    database.close();
  }
  const copy = new DatabaseSync(path, { readOnly: true });
  try {
    const [row] = copy.prepare("PRAGMA integrity_check(1)").all();
    if (row?.integrity_check !== "ok")
      throw new Error(`The copy is damaged: ${String(row?.integrity_check).replaceAll("\n", " ")}`);
  } finally {
    copy.close();
  }
}
