import type { Client } from "pg";
import { type Migrated, pendingMigrations, readMigrations } from "../migrations.ts";
import { distribute, readDistribution } from "./citus.ts";
import { Connections } from "./connections.ts";
import { startFailure } from "./failures.ts";
import { readPostgresUrl } from "./url.ts";
import { writeLock } from "./write-lock.ts";

const MIGRATIONS = readMigrations(new URL("./migrations/", import.meta.url));

/** A migration's statements end with a semicolon at the end of a line; only a comment may follow. */
const END_OF_STATEMENT = /;[ \t]*(?:--.*)?$/m;

/** A migration uses a connection of its own without time limits, so the pool needs none. */
const POOL_LIMITS = { connections: 1, timeoutMs: 0 };

/** Upgrades the schema of a database that no server needs to have open. @throws Error in one line for a person */
export async function migratePostgres(databaseUrl: string, options: { citus: boolean }): Promise<Migrated> {
  const connections = new Connections({ ...readPostgresUrl(databaseUrl), ...POOL_LIMITS });
  try {
    return await migrate(connections, options);
  } catch (error) {
    throw startFailure(error);
  } finally {
    await connections.close();
  }
}

/**
 * Upgrades the schema in one transaction; a second process waits and then has nothing to do. On a database with Citus,
 * it also distributes the tables of a new schema, and tables that a migration adds to a distributed schema.
 * @param options.citus true: also distributes a schema that already has rows. @throws Error if there is no Citus
 */
export async function migrate(
  connections: Connections,
  { citus = false, migrations = MIGRATIONS } = {},
): Promise<Migrated> {
  const { schema } = connections.settings;
  return connections.alone(async (client) => {
    const before = await lastMigration(client, schema);
    const newest = migrations.at(-1)!.number;
    if (pendingMigrations(migrations, before).length === 0 && !citus) {
      return { from: before, to: before, distributed: [] };
    }
    await client.query("BEGIN ISOLATION LEVEL READ COMMITTED");
    await client.query(writeLock(schema));
    const from = await lastMigration(client, schema);
    // Citus requires this mode for changes of several tables in one transaction.
    await client.query("SET LOCAL citus.multi_shard_modify_mode = 'sequential'");
    // CREATE SCHEMA IF NOT EXISTS would need the right to create one even if the schema exists.
    const { rows } = await client.query("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", [schema]);
    if (rows.length === 0) await client.query(`CREATE SCHEMA "${schema}"`);
    await client.query(`SET LOCAL search_path = "${schema}"`);
    await client.query(
      "CREATE TABLE IF NOT EXISTS schema_migrations (number int PRIMARY KEY, applied_at timestamptz NOT NULL)",
    );
    for (const { number, sql } of pendingMigrations(migrations, from)) {
      // Statements are sent one at a time, because Citus forwards the whole text of a query to its nodes.
      for (const statement of sql.split(END_OF_STATEMENT)) await client.query(statement);
      await client.query("INSERT INTO schema_migrations (number, applied_at) VALUES ($1, now())", [number]);
    }
    const { available, byStore } = await readDistribution(client, schema);
    const distributes = citus || (available && (from === 0 || byStore.length > 0));
    const distributed = distributes ? await distribute(client, schema) : [];
    await client.query("COMMIT");
    return { from, to: newest, distributed };
  });
}

/** The last migration that a schema has; 0 if there is none. */
async function lastMigration(client: Client, schema: string): Promise<number> {
  const value = async (text: string) => {
    const { rows } = await client.query<[unknown]>({ text, rowMode: "array" });
    return Number(rows[0]![0]);
  };
  // This reads the catalog's tables, because its functions may answer from a cache older than the lock.
  const exists = `SELECT count(*) FROM pg_catalog.pg_tables
    WHERE schemaname = '${schema}' AND tablename = 'schema_migrations'`;
  if ((await value(exists)) === 0) return 0;
  return value(`SELECT coalesce(max(number), 0) FROM "${schema}".schema_migrations`);
}
