import { pendingMigrations, readMigrations } from "../migrations.ts";
import type { Connections } from "./connections.ts";
import { writeLock } from "./write-lock.ts";

/** Brings the schema up to date, in one transaction; a second process that comes at the same time finds it done. */
export async function migrate(connections: Connections): Promise<void> {
  const { schema } = connections.settings;
  const migrations = readMigrations(new URL("./migrations/", import.meta.url));
  await connections.alone(async (client) => {
    const value = async (text: string) => {
      const { rows } = await client.query<[unknown]>({ text, rowMode: "array" });
      return rows[0]![0];
    };
    // From the catalog's tables: its functions may answer from a cache that is older than the lock.
    const exists = `SELECT count(*) FROM pg_catalog.pg_tables
      WHERE schemaname = '${schema}' AND tablename = 'schema_migrations'`;
    const applied = async () =>
      Number(await value(exists)) === 0
        ? 0
        : Number(await value(`SELECT coalesce(max(number), 0) FROM "${schema}".schema_migrations`));
    if (pendingMigrations(migrations, await applied()).length === 0) return;
    await client.query("BEGIN");
    await client.query(writeLock(schema));
    const pending = pendingMigrations(migrations, await applied());
    await client.query(`CREATE SCHEMA IF NOT EXISTS "${schema}"; SET LOCAL search_path = "${schema}"`);
    await client.query(
      "CREATE TABLE IF NOT EXISTS schema_migrations (number int PRIMARY KEY, applied_at timestamptz NOT NULL)",
    );
    for (const { number, sql } of pending) {
      await client.query(sql);
      await client.query("INSERT INTO schema_migrations VALUES ($1, now())", [number]);
    }
    await client.query("COMMIT");
  });
}
