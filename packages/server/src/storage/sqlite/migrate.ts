import { pendingMigrations, readMigrations } from "../migrations.ts";
import type { Connection } from "./connection.ts";

/** Brings the schema up to date, in one transaction; a second process that comes at the same time finds it done. */
export async function migrate(connection: Connection): Promise<void> {
  const migrations = readMigrations(new URL("./migrations/", import.meta.url));
  const applied = () => connection.database.prepare("PRAGMA user_version").get()!.user_version as number;
  if (pendingMigrations(migrations, applied()).length === 0) return;
  await connection.transaction("IMMEDIATE", () => {
    for (const { number, sql } of pendingMigrations(migrations, applied())) {
      connection.database.exec(sql);
      connection.database.exec(`PRAGMA user_version = ${number}`);
    }
  });
}
