import { type Migrated, pendingMigrations, readMigrations } from "../migrations.ts";
import { Connection } from "./connection.ts";
import { sqlitePath } from "./path.ts";

/** Upgrades the schema of a database that no server needs to have open; creates the file if there is none. */
export async function migrateSqlite(databaseUrl: string): Promise<Migrated> {
  const connection = new Connection(sqlitePath(databaseUrl), { durable: true });
  try {
    return await migrate(connection);
  } finally {
    await connection.close();
  }
}

/** Upgrades the schema in one transaction; a second process waits and then has nothing to do. */
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
