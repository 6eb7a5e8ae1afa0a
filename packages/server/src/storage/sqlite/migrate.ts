import { type Migrated, pendingMigrations, readMigrations } from "../migrations.ts";
import { Connection } from "./connection.ts";
import { sqlitePath } from "./path.ts";

/** Brings the schema of a database up to date that no server has to use; makes the file if there is none. */
export async function migrateSqlite(databaseUrl: string): Promise<Migrated> {
  const connection = new Connection(sqlitePath(databaseUrl), { durable: true });
  try {
    return await migrate(connection);
  } finally {
    await connection.close();
  }
}

/** Brings the schema up to date, in one transaction; a second process that comes at the same time finds it done. */
export async function migrate(connection: Connection): Promise<Migrated> {
  const migrations = readMigrations(new URL("./migrations/", import.meta.url));
  const applied = () => connection.database.prepare("PRAGMA user_version").get()!.user_version as number;
  let from = applied();
  if (pendingMigrations(migrations, from).length > 0) {
    await connection.transaction("IMMEDIATE", () => {
      from = applied();
      for (const { number, sql } of pendingMigrations(migrations, from)) {
        connection.database.exec(sql);
        connection.database.exec(`PRAGMA user_version = ${number}`);
      }
    });
  }
  return { from, to: applied(), distributed: [] };
}
