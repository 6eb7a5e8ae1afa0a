import { setTimeout as pause } from "node:timers/promises";
import { Client, Pool, type PoolClient, types } from "pg";
import { isRepeatable, isTimeout, orUnavailable } from "./failures.ts";

/**
 * How a transaction begins: `write` sees what was committed when each statement begins, `read` is one snapshot, and so
 * is `slowRead`, which may be idle for as long as it wants.
 */
const BEGIN = {
  write: "BEGIN ISOLATION LEVEL READ COMMITTED",
  read: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
  slowRead: "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
};

/** How long to wait for a connection that is made, or becomes free. */
const CONNECT_TIMEOUT_MS = 5000;
/** BEGIN and ROLLBACK take moments: a connection that does not answer them for so long is taken for dead. */
const ANSWER_TIMEOUT_MS = 3000;
const IDLE_CONNECTION_MS = 30_000;
/** A connection is replaced after this long, so that a changed address or a failover is found by itself. */
const CONNECTION_LIFETIME_S = 1800;
/** What a pooler says of settings that it would have to remember. */
const PROTOCOL_VIOLATION = "08P01";
/** Tries of a transaction that the server ended for another's sake. */
const ATTEMPTS = 5;

export interface ConnectionSettings {
  connectionString: string;
  /** Holds Tidemark's tables. */
  schema: string;
  /** At most so many connections at once. */
  connections: number;
  /** How long one statement may take. */
  timeoutMs: number;
}

/** One transaction on one connection. Statements may be sent before earlier ones are answered; they run in order. */
export interface Transaction {
  /** Runs a statement with `$1`-style values; its rows as arrays of columns. */
  rows<Row extends unknown[]>(text: string, values?: unknown[]): Promise<Row[]>;
  /** The same; its rows as objects. */
  objects<Row>(text: string, values?: unknown[]): Promise<Row[]>;
}

/**
 * A pool of connections to one server. Nothing is kept in a session: settings are those of a transaction, statements
 * have no names, so that a pooler may stand between that gives each transaction another connection.
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
    // A connection that breaks is told by the statement that needs it; between statements nobody has to know.
    pool.on("error", () => {});
    pool.on("connect", (client) => client.on("error", () => {}));
    return pool;
  }

  /**
   * Runs `work` in a transaction; again from the beginning if the server ended it for another's sake.
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
        // The server gives up first, if it is there: then the connection can be used again.
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

  /** A connection on which a transaction has begun. One that does not answer is replaced, once. */
  async #beginOn(kind: keyof typeof BEGIN): Promise<PoolClient> {
    const patience = kind === "slowRead" ? "; SET LOCAL idle_in_transaction_session_timeout = 0" : "";
    for (let attempt = 1; ; attempt++) {
      const client = await this.#pool.connect();
      try {
        await client.query({
          text: BEGIN[kind] + this.#begin + patience,
          query_timeout: ANSWER_TIMEOUT_MS,
        } as never);
        return client;
      } catch (error) {
        await this.#abandon(client, error);
        if (attempt === 2) throw error;
      }
    }
  }

  /** Rolls back, or gives the connection up if that does not work. */
  async #abandon(client: PoolClient, error: unknown): Promise<void> {
    // What did not answer once will not answer the next who asks: neither may the others of the pool.
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
   * One connection outside the pool and its time limits, for work that may take long.
   * @param settings of the server, for this connection; a pooler that knows of no such thing leaves them out
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

  /** Says goodbye on each connection; does not wait for one that does not answer. */
  async close(): Promise<void> {
    const late = new AbortController();
    await Promise.race([
      this.#pool.end(),
      pause(ANSWER_TIMEOUT_MS, undefined, { signal: late.signal, ref: false }).catch(() => {}),
    ]);
    late.abort();
  }
}

/** `bigint` as a number, which every time in ms, count and version fits, and `boolean` as 0 and 1, as SQLite has it. */
function getTypeParser(oid: number, format?: "text" | "binary"): (value: string) => unknown {
  if (oid === types.builtins.INT8) return Number;
  if (oid === types.builtins.BOOL) return (value) => (value === "t" ? 1 : 0);
  return types.getTypeParser(oid, format as "text") as (value: string) => unknown;
}
