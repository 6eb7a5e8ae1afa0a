import { examineSchema, type Finding } from "../finding.ts";
import { readMigrations } from "../migrations.ts";
import type { Sql, SqlRow } from "../port.ts";
import { Connections, type Transaction } from "./connections.ts";
import { startFailure } from "./failures.ts";
import { findPgvector, lackOfPgvector, type Pgvector } from "./pgvector.ts";
import { readPostgresUrl } from "./url.ts";

const VERSION_MIN = 15;
/** A process's clock may differ from the database's by so much before it is worth a word, or a halt. */
const CLOCK_WARNING_MS = 2000;
const CLOCK_FAILED_MS = 60_000;

interface Server {
  version: string;
  number: number;
  fsync: string;
  full_page_writes: string;
  /** As it is in a transaction of Tidemark, which sets it. */
  synchronous_commit: string;
  /** For those who are not superusers. */
  connections: number;
  used: number;
  standby: number;
  bytes: number;
  clock: number;
  may_create: number;
  has_schema: number;
}

/**
 * Looks at a database without changing it.
 * @param limits what one server process is allowed, and whether it is to embed
 * @param look what to ask of it, if its schema is the one that this program uses
 */
export async function examinePostgres(
  databaseUrl: string,
  limits: { connections: number; timeoutMs: number; embeds: boolean },
  look: (sql: Sql) => Promise<Finding[]>,
): Promise<Finding[]> {
  const place = readPostgresUrl(databaseUrl);
  const connections = new Connections({ ...place, timeoutMs: limits.timeoutMs, connections: 1 });
  try {
    return await connections.transaction("read", async (tx) => {
      const before = Date.now();
      const server = await readServer(tx, place.schema);
      const differenceMs = server.clock - (before + Date.now()) / 2;
      const schema = await examineSchemaOf(tx, place.schema, server);
      const findings = [
        examineServer(server, place),
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
      "Look at host, port, user, password and database in the URL, at the server's log, and at what stands between.";
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

function examineServer(server: Server, place: { connectionString: string; schema: string }): Finding {
  const { host, pathname } = new URL(place.connectionString);
  const size = Math.round(server.bytes / 1024 / 1024);
  const message = `PostgreSQL ${server.version} at ${host}${pathname}, ${size} MiB; its disk's space is not seen from here`;
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
  const [found] = await tx.rows<[number]>(
    "SELECT count(*) FROM pg_tables WHERE schemaname = $1 AND tablename = 'schema_migrations'",
    [schema],
  );
  const [row] = found![0]
    ? await tx.rows<[number]>(`SELECT coalesce(max(number), 0) FROM "${schema}".schema_migrations`)
    : [[0] as [number]];
  const finding = examineSchema(row![0], migrations);
  if (finding.status !== "warning" || server.may_create) return finding;
  const what = server.has_schema ? `the schema ${schema}` : "schemas in the database";
  const advice = server.has_schema
    ? `As its owner: GRANT CREATE, USAGE ON SCHEMA ${schema} TO …`
    : "As the database's owner: GRANT CREATE ON DATABASE … TO …";
  const message = `${finding.message}, and the user may not make tables: no right to create in ${what}`;
  return { check: "schema", status: "failed", message, advice };
}

function examinePgvector(found: Pgvector | undefined, needed: boolean): Finding {
  const check = "pgvector";
  const lack = lackOfPgvector(found);
  if (!lack) return { check, status: "ok", message: `version ${found!.version}` };
  if (needed) return { check, status: "warning", ...lack };
  return { check, status: "ok", message: `${lack.message} No embeddings are configured` };
}

function examineDurability({ fsync, full_page_writes, synchronous_commit }: Server): Finding {
  const message = `fsync ${fsync}, full_page_writes ${full_page_writes}, synchronous_commit ${synchronous_commit}`;
  const check = "durability";
  if (fsync === "on" && full_page_writes === "on") return { check, status: "ok", message };
  const advice =
    "Set fsync and full_page_writes on: without them a power loss can destroy acknowledged syncs.";
  return { check, status: "warning", message, advice };
}

function examineConnections(server: Server, wanted: number): Finding {
  const check = "connections";
  // This look holds one of them.
  const used = server.used - 1;
  const message = `the server allows ${server.connections}, ${used} are in use; a Tidemark process takes up to ${wanted}`;
  if (wanted > server.connections) {
    const advice =
      "Lower TIDEMARK_DATABASE_CONNECTIONS, or raise max_connections; or put a transaction pooler in front.";
    return { check, status: "failed", message, advice };
  }
  if (wanted <= server.connections - used) return { check, status: "ok", message };
  const advice =
    "If these are not its own, a process finds too little room: raise max_connections, or lower TIDEMARK_DATABASE_CONNECTIONS.";
  return { check, status: "warning", message, advice };
}

function examineClock(differenceMs: number): Finding {
  const ms = Math.round(Math.abs(differenceMs));
  const check = "clock";
  const message = `this machine's clock and the database's differ by ${ms} ms`;
  if (ms <= CLOCK_WARNING_MS) return { check, status: "ok", message };
  const advice = "Let both follow NTP: rate limits and the bound on future syncs go by this machine's clock.";
  return { check, status: ms > CLOCK_FAILED_MS ? "failed" : "warning", message, advice };
}
