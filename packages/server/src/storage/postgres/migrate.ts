import type { Client } from "pg";
import { type Migrated, pendingMigrations, readMigrations } from "../migrations.ts";
import { distribute, readDistribution } from "./citus.ts";
import { Connections } from "./connections.ts";
import { startFailure } from "./failures.ts";
import { readPostgresUrl } from "./url.ts";
import { writeLock } from "./write-lock.ts";

const MIGRATIONS = readMigrations(new URL("./migrations/", import.meta.url));

/** In a migration a statement ends with a semicolon at the end of a line, before a comment at most. */
const END_OF_STATEMENT = /;[ \t]*(?:--.*)?$/m;

/** Connections that a migration needs: it has one of its own, without time limits. */
const NONE = { connections: 1, timeoutMs: 0 };

/** Brings the schema of a database up to date that no server has to use. @throws Error in one line for a person */
export async function migratePostgres(databaseUrl: string, options: { citus: boolean }): Promise<Migrated> {
  const connections = new Connections({ ...readPostgresUrl(databaseUrl), ...NONE });
  try {
    return await migrate(connections, options);
  } catch (error) {
    throw startFailure(error);
  } finally {
    await connections.close();
  }
}

/**
 * Brings the schema up to date, in one transaction; a second process that comes at the same time finds it done. On a
 * database with Citus the tables of a new schema are distributed, and those that a migration adds to a schema that
 * is distributed.
 * @param options.citus true: distributes a schema that has rows already, too. @throws Error if there is no Citus
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
    // Citus: what follows goes to the shards one after the other, as changes of several tables in one transaction must.
    await client.query("SET LOCAL citus.multi_shard_modify_mode = 'sequential'");
    // IF NOT EXISTS would ask for the right to make one, though it is there.
    const { rows } = await client.query("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = $1", [schema]);
    if (rows.length === 0) await client.query(`CREATE SCHEMA "${schema}"`);
    await client.query(`SET LOCAL search_path = "${schema}"`);
    await client.query(
      "CREATE TABLE IF NOT EXISTS schema_migrations (number int PRIMARY KEY, applied_at timestamptz NOT NULL)",
    );
    for (const { number, sql } of pendingMigrations(migrations, from)) {
      // One statement at a time: Citus passes on the whole text that a statement came in.
      for (const statement of sql.split(END_OF_STATEMENT)) await client.query(statement);
      await client.query("INSERT INTO schema_migrations (number, applied_at) VALUES ($1, now())", [number]);
    }
    const { available, byStore } = await readDistribution(client, schema);
    const wanted = citus || (available && (from === 0 || byStore.length > 0));
    const distributed = wanted ? await distribute(client, schema) : [];
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
  // From the catalog's tables: its functions may answer from a cache that is older than the lock.
  const exists = `SELECT count(*) FROM pg_catalog.pg_tables
    WHERE schemaname = '${schema}' AND tablename = 'schema_migrations'`;
  if ((await value(exists)) === 0) return 0;
  return value(`SELECT coalesce(max(number), 0) FROM "${schema}".schema_migrations`);
}
