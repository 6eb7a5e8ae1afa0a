import { examineSchema, type Finding } from "../finding.ts";
import { readMigrations } from "../migrations.ts";
import type { Sql, SqlRow } from "../port.ts";
import { Connections, type Transaction } from "./connections.ts";
import { startFailure } from "./failures.ts";
import { findPgvector, lackOfPgvector, type Pgvector } from "./pgvector.ts";
import { readPostgresUrl } from "./url.ts";

const VERSION_MIN = 15;
/** How far this machine's clock may differ from the database's before a warning, or a failure. */
const CLOCK_WARNING_MS = 2000;
const CLOCK_FAILED_MS = 60_000;

interface Server {
  version: string;
  number: number;
  fsync: string;
  full_page_writes: string;
  /** The value in Tidemark's transactions, which set it. */
  synchronous_commit: string;
  /** Connections that the server allows users who are not superusers. */
  connections: number;
  used: number;
  standby: number;
  bytes: number;
  clock: number;
  may_create: number;
  has_schema: number;
}

/**
 * Checks a database without changing it.
 * @param limits the limits of one server process, and whether it embeds
 * @param look further checks, which run only if the schema is the one that this version uses
 */
export async function examinePostgres(
  databaseUrl: string,
  limits: { connections: number; timeoutMs: number; embeds: boolean },
  look: (sql: Sql) => Promise<Finding[]>,
): Promise<Finding[]> {
  const location = readPostgresUrl(databaseUrl);
  const connections = new Connections({ ...location, timeoutMs: limits.timeoutMs, connections: 1 });
  try {
    return await connections.transaction("read", async (tx) => {
      const before = Date.now();
      const server = await readServer(tx, location.schema);
      const differenceMs = server.clock - (before + Date.now()) / 2;
      const schema = await examineSchemaOf(tx, location.schema, server);
      const findings = [
        examineServer(server, location),
        examineDurability(server),
        examineConnections(server, limits.connections),
        examineClock(differenceMs),
        examinePgvector(await findPgvector(tx), limits.embeds),
        schema,
      ];
      if (schema.status !== "ok") return findings;
      return [...findings, ...(await look({ all: (text, values) => tx.objects<SqlRow>(text, values) }))];
    });
  } catch (error) {
    const { message } = startFailure(error);
    const advice =
      "Check host, port, user, password and database in the URL, the server's log, and the network between.";
    return [{ check: "database", status: "failed", message, advice }];
  } finally {
    await connections.close();
  }
}

async function readServer(tx: Transaction, schema: string): Promise<Server> {
  const [server] = await tx.objects<Server>(
    `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS number,
       current_setting('fsync') AS fsync, current_setting('full_page_writes') AS full_page_writes,
       current_setting('synchronous_commit') AS synchronous_commit,
       current_setting('max_connections')::int - current_setting('superuser_reserved_connections')::int AS connections,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
       pg_is_in_recovery() AS standby, pg_database_size(current_database()) AS bytes,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS clock,
       EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) AS has_schema,
       CASE WHEN EXISTS (SELECT FROM pg_namespace WHERE nspname = $1) THEN has_schema_privilege($1, 'CREATE')
         ELSE has_database_privilege(current_database(), 'CREATE') END AS may_create`,
    [schema],
  );
  return server!;
}

function examineServer(server: Server, location: { connectionString: string; schema: string }): Finding {
  const { host, pathname } = new URL(location.connectionString);
  const size = Math.round(server.bytes / 1024 / 1024);
  const message = `PostgreSQL ${server.version} at ${host}${pathname}, ${size} MiB; its free disk space is not visible from here`;
  const failed = (problem: string, advice: string): Finding => ({
    check: "database",
    status: "failed",
    message: `${message}; ${problem}`,
    advice,
  });
  if (server.number < VERSION_MIN * 10_000) {
    return failed("it is too old", `Upgrade it to PostgreSQL ${VERSION_MIN} or newer.`);
  }
  if (server.standby) return failed("it is a standby", "Name the primary in TIDEMARK_DATABASE_URL.");
  return { check: "database", status: "ok", message };
}

async function examineSchemaOf(tx: Transaction, schema: string, server: Server): Promise<Finding> {
  const migrations = readMigrations(new URL("./migrations/", import.meta.url));
  const [tables] = await tx.rows<[number]>(
    "SELECT count(*) FROM pg_tables WHERE schemaname = $1 AND tablename = 'schema_migrations'",
    [schema],
  );
  const [row] = tables![0]
    ? await tx.rows<[number]>(`SELECT coalesce(max(number), 0) FROM "${schema}".schema_migrations`)
    : [[0] as [number]];
  const finding = examineSchema(row![0], migrations);
  if (finding.status !== "warning" || server.may_create) return finding;
  const right = server.has_schema ? `CREATE on the schema ${schema}` : "CREATE on the database";
  const advice = server.has_schema
    ? `As its owner: GRANT CREATE, USAGE ON SCHEMA ${schema} TO …`
    : "As the database's owner: GRANT CREATE ON DATABASE … TO …";
  const message = `${finding.message}, and the user cannot create tables: it lacks the right ${right}`;
  return { check: "schema", status: "failed", message, advice };
}

function examinePgvector(pgvector: Pgvector | undefined, needed: boolean): Finding {
  const check = "pgvector";
  const lack = lackOfPgvector(pgvector);
  if (!lack) return { check, status: "ok", message: `version ${pgvector!.version}` };
  if (needed) return { check, status: "warning", ...lack };
  return { check, status: "ok", message: `${lack.message} No embeddings are configured` };
}

function examineDurability({ fsync, full_page_writes, synchronous_commit }: Server): Finding {
  const message = `fsync ${fsync}, full_page_writes ${full_page_writes}, synchronous_commit ${synchronous_commit}`;
  const check = "durability";
  if (fsync === "on" && full_page_writes === "on") return { check, status: "ok", message };
  const advice =
    "Turn fsync and full_page_writes on: without them a power loss can destroy acknowledged syncs.";
  return { check, status: "warning", message, advice };
}

function examineConnections(server: Server, limit: number): Finding {
  const check = "connections";
  // This check itself holds one connection.
  const used = server.used - 1;
  const message = `the server allows ${server.connections}, ${used} are in use; a Tidemark process takes up to ${limit}`;
  if (limit > server.connections) {
    const advice =
      "Lower TIDEMARK_DATABASE_CONNECTIONS, raise max_connections, or put a transaction pooler in front.";
    return { check, status: "failed", message, advice };
  }
  if (limit <= server.connections - used) return { check, status: "ok", message };
  const advice =
    "If other programs hold them, too few are left for a process: raise max_connections, or lower TIDEMARK_DATABASE_CONNECTIONS.";
  return { check, status: "warning", message, advice };
}

function examineClock(differenceMs: number): Finding {
  const ms = Math.round(Math.abs(differenceMs));
  const check = "clock";
  const message = `this machine's clock and the database's differ by ${ms} ms`;
  if (ms <= CLOCK_WARNING_MS) return { check, status: "ok", message };
  const advice =
    "Synchronize both with NTP: rate limits and the limit on future sync timestamps use this machine's clock.";
  return { check, status: ms > CLOCK_FAILED_MS ? "failed" : "warning", message, advice };
}
