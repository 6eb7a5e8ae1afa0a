import type { MaintenanceStep } from "../background-step.ts";
import type { Forgetting, LedgerTransaction, RateWindow, Sql, SqlRow, Storage } from "../port.ts";
import { STORE_TABLES } from "../store-tables.ts";
import { IS_CURRENT } from "../visibility.ts";
import { textArray } from "./arrays.ts";
import { type ConnectionSettings, Connections, type Transaction } from "./connections.ts";
import { orUnavailable, startFailure } from "./failures.ts";
import { PostgresIndexStorage } from "./index-storage.ts";
import { PostgresLedgerTransaction } from "./ledger.ts";
import { ROWS_OF_ID } from "./lookups.ts";
import { forget, sweepDeletedStore, sweepNamespace } from "./maintenance.ts";
import { migrate } from "./migrate.ts";
import { findPgvector, pgvectorProblem } from "./pgvector.ts";
import { countRequest } from "./rate-windows.ts";
import { lockStore, StoreQueues } from "./store-lock.ts";
import { readPostgresUrl } from "./url.ts";
import { writeLock } from "./write-lock.ts";

/**
 * Opens the server engine.
 * @param databaseUrl `postgres://…`; its parameter `schema` names the schema of Tidemark's tables (`tidemark`)
 * @param options.embeds true: warns if the database cannot compare vectors
 */
export async function openPostgres(
  databaseUrl: string,
  { embeds, ...limits }: Pick<ConnectionSettings, "connections" | "timeoutMs"> & { embeds: boolean },
): Promise<Storage> {
  const connections = new Connections({ ...readPostgresUrl(databaseUrl), ...limits });
  try {
    await migrate(connections);
    const warnings = await connections.transaction("read", (tx) => findWarnings(tx, embeds));
    return new PostgresStorage(connections, warnings);
  } catch (error) {
    await connections.close();
    throw startFailure(error);
  }
}

async function findWarnings(tx: Transaction, embeds: boolean): Promise<string[]> {
  const [row] = await tx.rows<[string, string]>(
    "SELECT current_setting('fsync'), current_setting('full_page_writes')",
  );
  const warnings = row!.includes("off")
    ? ["PostgreSQL runs with fsync or full_page_writes off: a power loss can destroy acknowledged syncs."]
    : [];
  const problem = embeds ? pgvectorProblem(await findPgvector(tx)) : null;
  return problem === null ? warnings : [...warnings, problem];
}

class PostgresStorage implements Storage {
  readonly warnings: string[];
  readonly storeTables = STORE_TABLES;
  readonly index: PostgresIndexStorage;
  #connections: Connections;
  #queues: StoreQueues;

  constructor(connections: Connections, warnings: string[]) {
    this.#connections = connections;
    this.index = new PostgresIndexStorage(connections);
    this.#queues = new StoreQueues(connections.settings.timeoutMs);
    this.warnings = warnings;
  }

  write<T>(work: (sql: Sql) => Promise<T>, storeId?: string): Promise<T> {
    return this.#connections.transaction("write", async (tx) => {
      await tx.rows(writeLock(this.#connections.settings.schema));
      if (storeId !== undefined) await lockStore(tx, storeId);
      return work(sqlOf(tx));
    });
  }

  read<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.#connections.transaction("read", (tx) => work(sqlOf(tx)));
  }

  readSlowly<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.#connections.transaction("slowRead", (tx) => work(sqlOf(tx)));
  }

  ledger<T>(storeId: string, work: (tx: LedgerTransaction) => Promise<T>): Promise<T> {
    return orUnavailable(() =>
      this.#queues.run(storeId, () =>
        this.#connections.transaction("write", async (tx) =>
          work(new PostgresLedgerTransaction(tx, storeId, await lockStore(tx, storeId))),
        ),
      ),
    );
  }

  async liveIds(storeId: string, namespace: string, ids: string[]): Promise<Set<string>> {
    const rows = await this.#connections.transaction("read", (tx) =>
      tx.rows<[number[]]>(
        `SELECT coalesce(array_agg(k.number::int), '{}')
         FROM (SELECT $2 AS namespace, id, number FROM unnest($3::text[]) WITH ORDINALITY u(id, number)) k
         CROSS JOIN ${ROWS_OF_ID} r
         JOIN namespaces n ON n.store_id = $1 AND n.namespace = $2
         WHERE r.version IS NOT NULL AND ${IS_CURRENT}`,
        [storeId, namespace, textArray(ids)],
      ),
    );
    return new Set(rows[0]![0].map((number) => ids[number - 1]!));
  }

  countRequest(window: string, limit: number, windowMs: number, now: number): Promise<RateWindow> {
    return countRequest(this.#connections, window, limit, windowMs, now);
  }

  async sweep(now: number): Promise<MaintenanceStep> {
    const step = await sweepNamespace(this.#connections, now);
    return step.more ? step : sweepDeletedStore(this.#connections);
  }

  forget(before: Forgetting): Promise<MaintenanceStep> {
    return forget(this.#connections, before);
  }

  async countRecords(): Promise<number> {
    const [row] = await this.#connections.transaction("read", (tx) =>
      tx.rows<[number]>("SELECT coalesce(sum(records), 0)::bigint FROM namespaces"),
    );
    return row![0];
  }

  async close(): Promise<void> {
    await this.index.close();
    await this.#connections.close();
  }
}

const sqlOf = (tx: Transaction): Sql => ({
  all: (text, values) => tx.objects<SqlRow>(text, values),
});
