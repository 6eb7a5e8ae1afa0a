import { closeSync, existsSync, openSync, rmSync, statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { sqlitePath } from "./path.ts";

/**
 * Writes a consistent copy of a database beside whatever reads and writes it, and checks the copy. It is one read
 * transaction, so it ends under any load; the page-wise copy that SQLite has too begins anew whenever another process
 * writes.
 * @param path a file that does not exist; one that was left behind is replaced
 * @throws Error if there is no database, or the copy is damaged
 */
export function backUpSqlite(databaseUrl: string, path: string): void {
  const from = sqlitePath(databaseUrl);
  if (!existsSync(from)) throw new Error(`There is no database ${from}.`);
  rmSync(path, { force: true });
  // The copy is for the same eyes as the database. SQLite fills a file that is empty.
  closeSync(openSync(path, "wx", statSync(from).mode & 0o777));
  const database = new DatabaseSync(from, { readOnly: true });
  try {
    database.prepare("VACUUM INTO ?").run(path);
  } finally {
    database.close();
  }
  const copy = new DatabaseSync(path, { readOnly: true });
  try {
    const [found] = copy.prepare("PRAGMA integrity_check(1)").all();
    if (found?.integrity_check !== "ok")
      throw new Error(`The copy is damaged: ${String(found?.integrity_check).replaceAll("\n", " ")}`);
  } finally {
    copy.close();
  }
}
