import type { Client } from "pg";

/**
 * Small tables of which every node has a copy, in the order of their foreign keys. Of the other tables, those with a
 * `store_id` are distributed by it, and the rest stay on the coordinator.
 */
const REFERENCE_TABLES = ["organizations", "vector_stores", "connectors", "api_keys"];

/** The table that all other distributed tables are colocated with. */
const FIRST_TABLE = "store_revisions";

/** How a schema's tables are distributed over a Citus cluster. */
export interface Distribution {
  /** True if this database has the extension. */
  available: boolean;
  /** Tables that are distributed by store. */
  byStore: string[];
  /** Tables of which every node has a copy. */
  everywhere: string[];
}

/** Reads how a schema's tables are distributed. */
export async function readDistribution(client: Client, schema: string): Promise<Distribution> {
  const extension = await client.query("SELECT 1 FROM pg_catalog.pg_extension WHERE extname = 'citus'");
  if (extension.rows.length === 0) return { available: false, byStore: [], everywhere: [] };
  const { rows } = await client.query<{ name: string; method: string }>(
    `SELECT c.relname AS name, p.partmethod AS method
     FROM pg_catalog.pg_dist_partition p JOIN pg_catalog.pg_class c ON c.oid = p.logicalrelid
     WHERE c.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1) ORDER BY c.relname`,
    [schema],
  );
  const names = (method: string) => rows.filter((row) => row.method === method).map(({ name }) => name);
  return { available: true, byStore: names("h"), everywhere: names("n") };
}

/**
 * Distributes the tables of a schema that are not distributed yet, with their rows, within the client's transaction.
 * Every other user of the tables waits until that transaction ends.
 * @returns the tables that it distributed
 * @throws Error in one line if the database has no Citus, or the cluster does not know its coordinator
 */
export async function distribute(client: Client, schema: string): Promise<string[]> {
  const { available, byStore, everywhere } = await readDistribution(client, schema);
  if (!available) {
    throw new Error("This database has no Citus. Run CREATE EXTENSION citus in it on every node first.");
  }
  const { rows } = await client.query<{ name: string }>(
    `SELECT t.relname AS name FROM pg_catalog.pg_class t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.oid
     WHERE t.relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = $1) AND t.relkind = 'r'
       AND a.attname = 'store_id' AND NOT a.attisdropped ORDER BY t.relname <> $2, t.relname`,
    [schema, FIRST_TABLE],
  );
  const tables = rows.map(({ name }) => name).filter((name) => !byStore.includes(name));
  const references = REFERENCE_TABLES.filter((name) => !everywhere.includes(name));
  const all = [...tables, ...references];
  if (all.length === 0) return [];
  await checkCoordinator(client);

  const named = (table: string) => `"${schema}".${table}`;
  // Every sync locks a row of the first table first, so running syncs finish and new ones wait here.
  await client.query(`LOCK TABLE ${all.map(named).join(", ")} IN ACCESS EXCLUSIVE MODE`);
  for (const table of tables) {
    const colocation = table === FIRST_TABLE ? "none" : named(FIRST_TABLE);
    await client.query("SELECT create_distributed_table($1, 'store_id', colocate_with => $2)", [
      named(table),
      colocation,
    ]);
  }
  for (const table of references) await client.query("SELECT create_reference_table($1)", [named(table)]);
  // Citus copies the rows, but the coordinator keeps its invisible originals until this call.
  for (const table of all) {
    await client.query("SELECT truncate_local_data_after_distributing_table($1)", [named(table)]);
  }
  return all;
}

/** Reference tables are also on the coordinator, so it must be a node with an address that all nodes can reach. */
async function checkCoordinator(client: Client): Promise<void> {
  const { rows } = await client.query<{ known: boolean }>(
    "SELECT count(*) = 0 OR bool_or(groupid = 0) AS known FROM pg_catalog.pg_dist_node",
  );
  if (rows[0]!.known) return;
  throw new Error(
    "The Citus cluster does not know its coordinator. Run SELECT citus_set_coordinator_host('…', 5432) in this " +
      "database, with the coordinator's address for the other nodes.",
  );
}
