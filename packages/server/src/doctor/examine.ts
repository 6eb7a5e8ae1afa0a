import type { Config } from "../config.ts";
import type { Finding } from "../storage/finding.ts";
import { isSqlite } from "../storage/open.ts";
import type { Sql } from "../storage/port.ts";
import { examineBacklog } from "./backlog.ts";
import { examineEmbeddings, examineIndexing } from "./indexing.ts";

/** Checks everything that can be wrong around a server, and changes nothing. @param now ms since 1970 */
export async function examine(config: Config, now: number): Promise<Finding[]> {
  const { databaseUrl, databaseConnections, databaseTimeoutMs, refreshRunHours } = config;
  const examineTables = async (sql: Sql) => [
    ...(await examineBacklog(sql, now, refreshRunHours * 3_600_000)),
    ...(await examineIndexing(sql, now, config)),
  ];
  // Only the engine in use is loaded.
  if (isSqlite(databaseUrl)) {
    const { examineSqlite } = await import("../storage/sqlite/examine.ts");
    return [...(await examineSqlite(databaseUrl, examineTables)), await examineEmbeddings(config)];
  }
  if (!/^postgres(ql)?:\/\//.test(databaseUrl)) {
    throw new Error("TIDEMARK_DATABASE_URL must begin with file: or postgres://.");
  }
  const { examinePostgres } = await import("../storage/postgres/examine.ts");
  const embeds = config.embeddingsUrl !== "";
  const limits = { connections: databaseConnections, timeoutMs: databaseTimeoutMs, embeds };
  return [...(await examinePostgres(databaseUrl, limits, examineTables)), await examineEmbeddings(config)];
}
