import { setTimeout as pause } from "node:timers/promises";
import { Client, Pool, type PoolClient, types } from "pg";
import { isRepeatable, isTimeout, orUnavailable } from "./failures.ts";

/**
 * How a transaction begins. In `write`, each statement sees what was committed when it began; `read` and `slowRead`
 * read one snapshot, and `slowRead` may be idle without limit.
 */
const BEGIN = {
  write: "BEGIN ISOLATION LEVEL READ COMMITTED",
  read: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
  slowRead: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
};

/** How long to wait for a new or a free connection. */
const CONNECT_TIMEOUT_MS = 5000;
/** A connection that does not answer BEGIN or ROLLBACK for this long counts as dead. */
const ANSWER_TIMEOUT_MS = 3000;
const IDLE_CONNECTION_MS = 30_000;
/** A connection is replaced after this long, so that the pool follows a changed address or a failover. */
const CONNECTION_LIFETIME_S = 1800;
/** A pooler's error code for connection settings that it does not support. */
const PROTOCOL_VIOLATION = "08P01";
/** Attempts at a transaction that the server ends because of a deadlock or a serialization failure. */
const ATTEMPTS = 5;

export interface ConnectionSettings {
  connectionString: string;
  /** The schema of Tidemark's tables. */
  schema: string;
  /** The maximum number of connections. */
  connections: number;
  /** How long one statement may take. */
  timeoutMs: number;
}

/** One transaction on one connection. Statements run in order; callers need not wait for earlier answers. */
export interface Transaction {
  /** Runs a statement with `$1`-style values. @returns its rows as arrays of columns */
  rows<Row extends unknown[]>(text: string, values?: unknown[]): Promise<Row[]>;
  /** Runs a statement with `$1`-style values. @returns its rows as objects */
  objects<Row>(text: string, values?: unknown[]): Promise<Row[]>;
}

/**
 * A pool of connections to one server. It keeps no session state: settings last one transaction and statements have no
 * names, so that a transaction pooler may stand in between.
 */
export class Connections {
  readonly settings: ConnectionSettings;
  #pool: Pool;
  #begin: string;

  constructor(settings: ConnectionSettings) {
    this.settings = settings;
    this.#pool = this.#openPool();
    const { schema, timeoutMs } = settings;
    this.#begin = `;
      SET LOCAL citus.propagate_set_commands = 'local';
      SET LOCAL search_path = "${schema}";
      SET LOCAL statement_timeout = ${timeoutMs};
      SET LOCAL lock_timeout = ${Math.ceil(timeoutMs / 2)};
      SET LOCAL idle_in_transaction_session_timeout = ${timeoutMs};
      SET LOCAL jit = off;
      SELECT set_config('synchronous_commit', 'on', true)
        WHERE current_setting('synchronous_commit') IN ('off', 'local')`;
  }

  #openPool(): Pool {
    const { connectionString, connections } = this.settings;
    const pool = new Pool({
      connectionString,
      max: connections,
      application_name: "tidemark",
      pipeline: true,
      keepAlive: true,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      idleTimeoutMillis: IDLE_CONNECTION_MS,
      maxLifetimeSeconds: CONNECTION_LIFETIME_S,
      types: { getTypeParser },
    } as ConstructorParameters<typeof Pool>[0]);
    // The next statement reports a broken connection; between statements nothing needs to know.
    pool.on("error", () => {});
    pool.on("connect", (client) => client.on("error", () => {}));
    return pool;
  }

  /**
   * Runs `work` in a transaction, and again if the server ended it because of a deadlock or a serialization failure.
   * @throws ApiError SERVICE_UNAVAILABLE
   */
  transaction<T>(kind: keyof typeof BEGIN, work: (tx: Transaction) => Promise<T>): Promise<T> {
    return orUnavailable(async () => {
      for (let attempt = 1; ; attempt++) {
        try {
          return await this.#try(kind, work);
        } catch (error) {
          if (!isRepeatable(error) || attempt === ATTEMPTS) throw error;
          await pause(Math.random() * 20 * 2 ** attempt);
        }
      }
    });
  }

  async #try<T>(kind: keyof typeof BEGIN, work: (tx: Transaction) => Promise<T>): Promise<T> {
    const client = await this.#beginOn(kind);
    const { timeoutMs } = this.settings;
    const query =
      (rowMode: "array" | undefined) =>
      async (text: string, values: unknown[] = []) => {
        // The server's own time limit is shorter: if it answers, the connection stays usable.
        const { rows } = await client.query({
          text,
          values,
          rowMode,
          query_timeout: timeoutMs + 1000,
        } as never);
        return rows as never;
      };
    let committing = false;
    try {
      const result = await work({ rows: query("array"), objects: query(undefined) });
      committing = true;
      const { command } = await client.query({ text: "COMMIT", query_timeout: timeoutMs } as never);
      if (command !== "COMMIT") throw new Error(`The transaction ended with ${command}.`);
      client.release();
      return result;
    } catch (error) {
      await this.#abandon(client, error);
      if (committing) Object.assign(error as Error, { whileCommitting: true });
      throw error;
    }
  }

  /** A connection on which a transaction has begun. If the first one does not answer, it tries a second one. */
  async #beginOn(kind: keyof typeof BEGIN): Promise<PoolClient> {
    const idle = kind === "slowRead" ? "; SET LOCAL idle_in_transaction_session_timeout = 0" : "";
    for (let attempt = 1; ; attempt++) {
      const client = await this.#pool.connect();
      try {
        await client.query({
          text: BEGIN[kind] + this.#begin + idle,
          query_timeout: ANSWER_TIMEOUT_MS,
        } as never);
        return client;
      } catch (error) {
        await this.#abandon(client, error);
        if (attempt === 2) throw error;
      }
    }
  }

  /** Rolls back and releases a connection, or closes it if that fails. */
  async #abandon(client: PoolClient, error: unknown): Promise<void> {
    // If one connection does not answer, the others of the pool may not answer either.
    if (isTimeout(error)) this.#renew();
    try {
      await client.query({ text: "ROLLBACK", query_timeout: ANSWER_TIMEOUT_MS } as never);
      client.release();
    } catch {
      client.release(true);
    }
  }

  #renew(): void {
    const old = this.#pool;
    this.#pool = this.#openPool();
    old.end().catch(() => {});
  }

  /**
   * Runs `work` on one connection outside the pool and its time limits, for work that may take long.
   * @param settings server settings for this connection; dropped if a pooler rejects them
   */
  async alone<T>(work: (client: Client) => Promise<T>, settings: Record<string, string> = {}): Promise<T> {
    const client = await this.#connectAlone(settings);
    try {
      return await work(client);
    } finally {
      await client.end();
    }
  }

  async #connectAlone(settings: Record<string, string>): Promise<Client> {
    const { connectionString } = this.settings;
    const options = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
    const client = new Client({
      connectionString,
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      ...(options.length > 0 ? { options: options.join(" ") } : {}),
    });
    client.on("error", () => {});
    try {
      await client.connect();
      return client;
    } catch (error) {
      if (options.length === 0 || (error as { code?: string }).code !== PROTOCOL_VIOLATION) throw error;
      return this.#connectAlone({});
    }
  }

  /** Closes the pool, without waiting for connections that do not answer. */
  async close(): Promise<void> {
    const late = new AbortController();
    await Promise.race([
      this.#pool.end(),
      pause(ANSWER_TIMEOUT_MS, undefined, { signal: late.signal, ref: false }).catch(() => {}),
    ]);
    late.abort();
  }
}

/** Reads `bigint` as a number, which fits times in ms, counts and versions, and `boolean` as 0 and 1, as on SQLite. */
function getTypeParser(oid: number, format?: "text" | "binary"): (value: string) => unknown {
  if (oid === types.builtins.INT8) return Number;
  if (oid === types.builtins.BOOL) return (value) => (value === "t" ? 1 : 0);
  return types.getTypeParser(oid, format as "text") as (value: string) => unknown;
}
