import type { Client } from "pg";
import { textArray } from "./arrays.ts";
import type { Connections, Transaction } from "./connections.ts";
import { readBuilds } from "./index-rows.ts";
import { findPgvector, indexedType, type Pgvector, pgvectorProblem } from "./pgvector.ts";
import { INDEXED_VECTORS } from "./vectors.ts";
import { writeLock } from "./write-lock.ts";

/** Memory for building an index; the build is several times faster if the whole index fits. */
const MEMORY_MIN_MB = 64;
const MEMORY_MAX_MB = 2048;
/** About what a vector needs in memory besides its numbers: the links to its neighbours. */
const LINKS_BYTES = 600;
/** How long the removal of an unfinished index waits for locks before it is left for a later attempt. */
const DROP_PATIENCE_MS = 1000;

/** How long to wait after a failure before the next attempt. */
const RETRY_PAUSE_MS = 300_000;

/** A vector space of a store. */
interface Space {
  storeId: string;
  space: number;
  vectors: number;
  dimensions: number;
}

const PREFIX = "vectors_near_";
/** The name of a space's index, within PostgreSQL's limit of 63 bytes. */
const nameOf = ({ storeId, space }: Pick<Space, "storeId" | "space">) => `${PREFIX}${storeId}_${space}`;

/** Creates and removes the HNSW indexes of large vector spaces in the background, one per space. */
export class VectorIndexes {
  #connections: Connections;
  #from: number;
  /** The index that this process is creating. */
  #making: Promise<void> | null = null;
  #client: Client | null = null;
  #failure: string | null = null;
  #failedAt = Number.NEGATIVE_INFINITY;
  #closed = false;

  /** @param from a space with more vectors than this has an index */
  constructor(connections: Connections, from = INDEXED_VECTORS) {
    this.#connections = connections;
    this.#from = from;
  }

  /**
   * Starts to create a missing index of a store's large vector spaces.
   * @returns a problem that an operator should know, in one line; null: none
   */
  async maintain(storeId: string): Promise<string | null> {
    const { embeds, pgvector, missing } = await this.#connections.transaction("read", async (tx) => {
      const spaces = await readSpaces(tx, storeId, this.#from + 1);
      const large = spaces.filter(({ vectors }) => vectors > this.#from);
      const ready = await readyIndexes(tx, large.map(nameOf));
      const missing = large.find((space) => !ready.has(nameOf(space)));
      return { embeds: spaces.length > 0, pgvector: await findPgvector(tx), missing };
    });
    if (!embeds) return null;
    const problem = pgvectorProblem(pgvector);
    if (problem !== null || !missing) return problem;
    const isTime = this.#failure === null || performance.now() > this.#failedAt + RETRY_PAUSE_MS;
    if (isTime && !this.#making && !this.#closed) this.#begin(pgvector!, missing);
    return this.#failure;
  }

  #begin(pgvector: Pgvector, space: Space): void {
    const making = this.#make(pgvector, space).then(
      () => {
        this.#failure = null;
      },
      (error) => {
        this.#failure = `The vector index of the store ${space.storeId} cannot be created: ${error.message}`;
        this.#failedAt = performance.now();
      },
    );
    this.#making = making.finally(() => {
      this.#making = null;
    });
  }

  /** Waits until the index that was started is finished or has failed. */
  async settled(): Promise<void> {
    await this.#making;
  }

  async #make(pgvector: Pgvector, space: Space): Promise<void> {
    const indexed = indexedType(pgvector, space.dimensions);
    if (!indexed || !(await this.#clearTheWay(space)) || this.#closed) return;
    const { schema } = this.#connections.settings;
    const [row] = await this.#connections.transaction("read", (tx) =>
      tx.rows<[number]>("SELECT count(*) FROM vectors WHERE store_id = $1 AND space = $2", [
        ...[space.storeId, space.space],
      ]),
    );
    const bytes = row![0] * (4 * space.dimensions + LINKS_BYTES) * 1.5;
    const memory = Math.min(Math.max(Math.ceil(bytes / 1024 / 1024), MEMORY_MIN_MB), MEMORY_MAX_MB);
    const settings = {
      maintenance_work_mem: `${memory}MB`,
      // Parallel workers would slow down syncs and searches, and containers often lack the shared memory for them.
      max_parallel_maintenance_workers: "0",
      statement_timeout: "0",
    };
    await this.#connections.alone(async (client) => {
      this.#client = client;
      try {
        if (this.#closed) return;
        // If another process is creating the index, this waits for it and then has nothing to do.
        await client.query(
          `CREATE INDEX CONCURRENTLY IF NOT EXISTS "${nameOf(space)}" ON "${schema}".vectors
           USING hnsw ((embedding::${indexed.type}) ${indexed.operators})
           WHERE store_id = '${space.storeId}' AND space = ${space.space}`,
        );
      } finally {
        this.#client = null;
      }
    }, settings);
  }

  /** Removes the remains of an unfinished index. @returns false if an index is being created right now */
  #clearTheWay(space: Space): Promise<boolean> {
    const { schema } = this.#connections.settings;
    return this.#connections.transaction("write", async (tx) => {
      await tx.rows(writeLock(schema));
      const [busy] = await tx.rows(
        `SELECT 1 FROM pg_catalog.pg_stat_progress_create_index
         WHERE relid = $1::regclass AND datname = current_database() LIMIT 1`,
        [`"${schema}".vectors`],
      );
      if (busy) return false;
      await tx.rows(`SET LOCAL lock_timeout = ${DROP_PATIENCE_MS}`);
      await tx.rows(`DROP INDEX IF EXISTS "${schema}"."${nameOf(space)}"`);
      return true;
    });
  }

  /** Removes one index of a space that no build uses any longer. @returns whether there was one */
  async sweep(): Promise<boolean> {
    const { schema } = this.#connections.settings;
    const unused = await this.#connections.transaction("read", async (tx) => {
      const indexes = await tx.rows<[string]>(
        `SELECT c.relname FROM pg_catalog.pg_class c
         WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('i', 'I')
           AND c.relname ~ '^${PREFIX}.+_[0-9]+$'`,
      );
      if (indexes.length === 0) return undefined;
      const stores = indexes.map(([name]) => name.slice(PREFIX.length, name.lastIndexOf("_")));
      const used = await tx.rows<[string, number]>(
        `SELECT store_id, space FROM index_builds
         WHERE store_id = ANY ($1::text[]) AND space IS NOT NULL AND state <> 'retired'`,
        [textArray([...new Set(stores)])],
      );
      const names = new Set(used.map(([storeId, space]) => nameOf({ storeId, space })));
      return indexes.map(([name]) => name).find((name) => !names.has(name));
    });
    if (unused === undefined || this.#closed) return false;
    await this.#connections.alone((client) =>
      client.query(`DROP INDEX CONCURRENTLY IF EXISTS "${schema}"."${unused}"`),
    );
    return true;
  }

  /** Does not wait for an index: the server finishes it alone, or a later start creates it again. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#client?.end();
    await this.#making;
  }
}

/** The spaces that a store's builds use, with their vectors counted up to a limit. */
async function readSpaces(tx: Transaction, storeId: string, limit: number): Promise<Space[]> {
  const builds = await readBuilds(tx, storeId);
  const used = builds.flatMap(({ state, space }) => (state === "retired" || space === null ? [] : [space]));
  return Promise.all(
    [...new Set(used)].map(async (space) => {
      const [row] = await tx.rows<[number, number | null]>(
        `SELECT count(*), (SELECT cardinality(embedding) FROM vectors WHERE store_id = $1 AND space = $2 LIMIT 1)
         FROM (SELECT 1 FROM vectors WHERE store_id = $1 AND space = $2 LIMIT $3) v`,
        [storeId, space, limit],
      );
      return { storeId, space, vectors: row![0], dimensions: row![1] ?? 0 };
    }),
  );
}

/** The names of the indexes that are complete. */
async function readyIndexes(tx: Transaction, names: string[]): Promise<Set<string>> {
  const rows = await tx.rows<[string]>(
    `SELECT c.relname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid
     WHERE c.relnamespace = current_schema()::regnamespace AND c.relname = ANY ($1::text[]) AND i.indisvalid`,
    [textArray(names)],
  );
  return new Set(rows.map(([name]) => name));
}
