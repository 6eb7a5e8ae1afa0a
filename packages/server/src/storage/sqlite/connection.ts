import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { DatabaseSync, type StatementSync } from "node:sqlite";

/** How long a statement waits for another process's transaction before it fails. */
const BUSY_TIMEOUT_MS = 5000;

/** One SQLite connection with its prepared statements, and transactions that queue behind each other. */
export class Connection {
  readonly database: DatabaseSync;
  #statements = new Map<string, StatementSync>();
  #queue: Promise<unknown> = Promise.resolve();

  /**
   * @param options.durable if false, a commit survives a crash of the process but perhaps not a power loss
   * @param options.readOnly if true, SQLite rejects every statement that would change the database
   */
  constructor(path: string, options: { durable: boolean; readOnly?: boolean }) {
    mkdirSync(dirname(path), { recursive: true });
    this.database = new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS });
    // Larger pages hold several 1 KB records each. The page size takes effect in a new database only.
    this.database.exec("PRAGMA page_size = 8192; PRAGMA journal_mode = WAL; PRAGMA foreign_keys = ON");
    this.database.exec(`PRAGMA synchronous = ${options.durable ? "FULL" : "NORMAL"}`);
    this.database.exec("PRAGMA fullfsync = ON; PRAGMA checkpoint_fullfsync = ON");
    this.database.exec("PRAGMA journal_size_limit = 67108864");
    this.database.exec("PRAGMA cache_size = -16384; PRAGMA temp_store = MEMORY");
    if (options.readOnly) this.database.exec("PRAGMA query_only = ON");
  }

  /** The prepared statement for a text, compiled once. Placeholders are `?1`, `?2`, … */
  statement(text: string): StatementSync {
    let statement = this.#statements.get(text);
    if (!statement) {
      statement = this.database.prepare(text);
      this.#statements.set(text, statement);
    }
    return statement;
  }

  /**
   * Runs `work` in a transaction, after all transactions that were requested earlier.
   * @param kind `IMMEDIATE` takes the write lock first; `DEFERRED` reads one snapshot
   */
  transaction<T>(kind: "IMMEDIATE" | "DEFERRED", work: () => T | Promise<T>): Promise<T> {
    const run = async () => {
      this.database.exec(`BEGIN ${kind}`);
      try {
        const result = await work();
        this.database.exec("COMMIT");
        return result;
      } catch (error) {
        if (this.database.isTransaction) this.database.exec("ROLLBACK");
        throw error;
      }
    };
    const result = this.#queue.then(run);
    this.#queue = result.catch(() => {});
    return result;
  }

  async close(): Promise<void> {
    await this.#queue;
    this.database.close();
  }
}
