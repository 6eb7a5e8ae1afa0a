import { ApiError } from "@tidemark/protocol/errors";
import type { MaintenanceStep } from "../background-step.ts";
import type { Forgetting, LedgerTransaction, RateWindow, Sql, SqlRow, Storage } from "../port.ts";
import { SQLITE_STORE_TABLES } from "../store-tables.ts";
import { IS_CURRENT } from "../visibility.ts";
import { restartLongLog } from "./checkpoints.ts";
import { Connection } from "./connection.ts";
import { SqliteIndexStorage } from "./index-storage.ts";
import { SqliteLedgerTransaction } from "./ledger.ts";
import { forget, sweepDeletedStore, sweepNamespace } from "./maintenance.ts";
import { migrate } from "./migrate.ts";
import { sqlitePath } from "./path.ts";
import { RateWindows } from "./rate-windows.ts";

/**
 * Opens the embedded engine.
 * @param databaseUrl `file:` and a path
 * @param options.backgroundCheckpoints true: another thread copies the write-ahead log into the database (see
 *   checkpoints.ts), so that no commit has to
 */
export async function openSqlite(
  databaseUrl: string,
  options: { backgroundCheckpoints?: boolean } = {},
): Promise<Storage> {
  const path = sqlitePath(databaseUrl);
  const writing = new Connection(path, { durable: true });
  await migrate(writing);
  const reading = new Connection(path, { durable: true, readOnly: true });
  return new SqliteStorage({ writing, reading }, path, options.backgroundCheckpoints === true);
}

/** The two connections of a storage, so that readers see the last commit and readers and writers never wait. */
interface Connections {
  writing: Connection;
  /** Rejects writes. */
  reading: Connection;
}

class SqliteStorage implements Storage {
  readonly warnings: string[] = [];
  readonly storeTables = SQLITE_STORE_TABLES;
  readonly index: SqliteIndexStorage;
  #writing: Connection;
  #reading: Connection;
  #rateWindows: RateWindows | undefined;
  #path: string;
  #backgroundCheckpoints: boolean;

  constructor({ writing, reading }: Connections, path: string, backgroundCheckpoints: boolean) {
    this.#writing = writing;
    this.#reading = reading;
    this.index = new SqliteIndexStorage(reading, writing, (kind, work) => this.#transaction(kind, work));
    this.#path = path;
    this.#backgroundCheckpoints = backgroundCheckpoints;
    if (backgroundCheckpoints) writing.database.exec("PRAGMA wal_autocheckpoint = 0");
  }

  write<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.#transaction("IMMEDIATE", () => work(sqlOf(this.#writing)));
  }

  read<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.#transaction("DEFERRED", () => work(sqlOf(this.#reading)));
  }

  readSlowly<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    return this.read(work);
  }

  ledger<T>(storeId: string, work: (tx: LedgerTransaction) => Promise<T>): Promise<T> {
    return orUnavailable(() => {
      if (this.#backgroundCheckpoints) restartLongLog(this.#writing);
      return this.#writing.transaction("IMMEDIATE", () =>
        work(new SqliteLedgerTransaction(this.#writing, storeId)),
      );
    });
  }

  liveIds(storeId: string, namespace: string, ids: string[]): Promise<Set<string>> {
    return this.#transaction("DEFERRED", () => {
      const { found } = this.#reading
        .statement(
          `SELECT json_group_array(j.key) AS found
           FROM namespaces n CROSS JOIN json_each(?3) j CROSS JOIN records r
             ON r.store_id = n.store_id AND r.namespace = n.namespace AND r.id = j.value
           WHERE n.store_id = ?1 AND n.namespace = ?2 AND r.version IS NOT NULL AND ${IS_CURRENT}`,
        )
        .get(storeId, namespace, JSON.stringify(ids)) as { found: string };
      return new Set((JSON.parse(found) as number[]).map((index) => ids[index]!));
    });
  }

  countRequest(window: string, limit: number, windowMs: number, now: number): Promise<RateWindow> {
    return orUnavailable(async () => {
      this.#rateWindows ??= new RateWindows(`${this.#path}-rate-limits`);
      return this.#rateWindows.count(window, limit, windowMs, now);
    });
  }

  sweep(now: number): Promise<MaintenanceStep> {
    return this.#transaction("IMMEDIATE", () => {
      const step = sweepNamespace(this.#writing, now);
      return step.more ? step : sweepDeletedStore(this.#writing);
    });
  }

  forget(before: Forgetting): Promise<MaintenanceStep> {
    return this.#transaction("IMMEDIATE", () => forget(this.#writing, before));
  }

  countRecords(): Promise<number> {
    return this.#transaction("DEFERRED", () => {
      const total = this.#reading.statement("SELECT coalesce(sum(records), 0) AS total FROM namespaces");
      return total.get()!.total as number;
    });
  }

  async close(): Promise<void> {
    await this.#reading.close();
    // The connection that closes last removes the log, and only this one can write.
    await this.#writing.close();
    await this.#rateWindows?.close();
  }

  #transaction<T>(kind: "IMMEDIATE" | "DEFERRED", work: () => T | Promise<T>): Promise<T> {
    const connection = kind === "IMMEDIATE" ? this.#writing : this.#reading;
    return orUnavailable(() => connection.transaction(kind, work));
  }
}

const sqlOf = (connection: Connection): Sql => ({
  all: async (text, values = []) =>
    connection.statement(text.replace(/\$(\d+)/g, "?$1")).all(...values) as SqlRow[],
});

/** Runs database work, and turns errors of a database that cannot be used right now into a 503. */
async function orUnavailable<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw unavailable(error) ?? error;
  }
}

// https://www.sqlite.org/rescode.html, primary codes
const BUSY = 5;
const READONLY = 8;
const IOERR = 10;
const FULL = 13;
const CANTOPEN = 14;

/** The 503 for a database that cannot be used right now; undefined for any other error. */
function unavailable(error: unknown): ApiError | undefined {
  const { errcode, code } = error as { errcode?: number; code?: string };
  const closed = code === "ERR_INVALID_STATE";
  const primary = (errcode ?? 0) & 0xff;
  if (!closed && ![BUSY, READONLY, IOERR, FULL, CANTOPEN].includes(primary)) return undefined;
  // After a failed fsync it is unknown what reached the disk.
  const outcome = primary === IOERR ? "unknown" : "not_applied";
  const failure = new ApiError("SERVICE_UNAVAILABLE", { outcome });
  failure.cause = error;
  return failure;
}
