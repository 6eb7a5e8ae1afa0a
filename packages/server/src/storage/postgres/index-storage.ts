import type { SegmentBlock } from "../../lexical/segment.ts";
import type { MaintenanceStep } from "../background-step.ts";
import type {
  Build,
  Chunk,
  Deferral,
  IndexSnapshot,
  IndexStorage,
  NewVector,
  QueueEntry,
  RecordVersion,
  Segment,
  StoreToIndex,
} from "../index-port.ts";
import type { RecordKey } from "../record-key.ts";
import { IS_SERVED } from "../rules.ts";
import { numberArray, readNumbers, textArray } from "./arrays.ts";
import type { Connections, Transaction } from "./connections.ts";
import { addVectors, findVectors, keyColumns, readBuilds, readSegments } from "./index-rows.ts";
import { PostgresIndexSnapshot } from "./index-snapshot.ts";
import { sweepIndex, sweepVectors, type VectorKey } from "./index-sweep.ts";
import { VectorIndexes } from "./vector-indexes.ts";

/** Blocks per read, about a megabyte. */
const BLOCKS_READ = 256;
/** Vectors per transaction, because an HNSW index takes some milliseconds for each. */
const VECTORS_ADDED = 100;

/** For changes that a crash may lose, such as claims, so that their commits need not wait for the disk. */
const FORGETTABLE = "SET LOCAL synchronous_commit = off";

/** The index on PostgreSQL. */
export class PostgresIndexStorage implements IndexStorage {
  #connections: Connections;
  #vectorIndexes: VectorIndexes;
  /** The vector behind which the next sweep of unused vectors continues. */
  #sweptVectors: VectorKey | null = null;

  constructor(connections: Connections) {
    this.#connections = connections;
    this.#vectorIndexes = new VectorIndexes(connections);
  }

  async stores(now: number): Promise<StoreToIndex[]> {
    const [stores, states] = await this.#read((tx) =>
      Promise.all([
        tx.rows<[string, string]>(
          `SELECT s.id, s.settings FROM vector_stores s WHERE ${IS_SERVED} ORDER BY s.id`,
        ),
        // Every store with entries or builds has a revision. Subqueries keep this at one lookup per store.
        tx.rows<[string, number, number]>(
          `SELECT s.store_id,
             coalesce((SELECT 1 FROM index_queue q
               WHERE q.store_id = s.store_id AND q.due_at <= $1 LIMIT 1), 0),
             coalesce((SELECT 1 FROM index_builds b
               WHERE b.store_id = s.store_id AND b.state = 'building' LIMIT 1), 0)
           FROM store_revisions s`,
          [now],
        ),
      ]),
    );
    const known = new Map(states.map(([storeId, due, building]) => [storeId, { due, building }]));
    return stores.map(([storeId, settings]) => {
      const { due, building } = known.get(storeId) ?? { due: 0, building: 0 };
      return { storeId, settings, due: due === 1, building: building === 1 };
    });
  }

  builds(storeId: string): Promise<Build[]> {
    return this.#read((tx) => readBuilds(tx, storeId));
  }

  claim(storeId: string, now: number, until: number, limit: number): Promise<QueueEntry[]> {
    return this.#connections.transaction("write", async (tx) => {
      const [, rows] = await Promise.all([
        tx.rows(FORGETTABLE),
        tx.rows<[number, string, string, number]>(
          `UPDATE index_queue q SET due_at = $3 WHERE q.store_id = $1 AND q.ctid = ANY (ARRAY(
             SELECT ctid FROM index_queue WHERE store_id = $1 AND due_at <= $2
             ORDER BY version LIMIT $4 FOR UPDATE SKIP LOCKED))
           RETURNING q.version, q.namespace, q.id, q.attempts`,
          [storeId, now, until, limit],
        ),
      ]);
      return rows
        .map(([version, namespace, id, attempts]) => ({ version, namespace, id, attempts }))
        .sort((a, b) => a.version - b.version);
    });
  }

  async defer(storeId: string, deferrals: Deferral[]): Promise<void> {
    if (deferrals.length === 0) return;
    const sorted = deferrals.toSorted((a, b) => a.version - b.version);
    await this.#connections.transaction("write", (tx) =>
      Promise.all([
        tx.rows(FORGETTABLE),
        // The insert always conflicts, which makes it an update by key that does not depend on the planner.
        tx.rows(
          `INSERT INTO index_queue (store_id, version, namespace, id, queued_at, due_at, attempts, error)
           SELECT $1, k.version, f.namespace, f.id, f.queued_at, k.due_at, k.attempts, coalesce(k.error, f.error)
           FROM unnest($2::bigint[], $3::bigint[], $4::bigint[], $5::text[]) k(version, due_at, attempts, error)
           CROSS JOIN LATERAL (SELECT * FROM index_queue f
             WHERE f.store_id = $1 AND f.version = k.version FOR UPDATE OFFSET 0) f
           ON CONFLICT (store_id, version) DO UPDATE SET
             due_at = excluded.due_at, attempts = excluded.attempts, error = excluded.error`,
          [
            storeId,
            numberArray(sorted.map(({ version }) => version)),
            numberArray(sorted.map(({ dueAt }) => dueAt)),
            numberArray(sorted.map(({ attempts }) => attempts)),
            textArray(sorted.map(({ error }) => error)),
          ],
        ),
      ]),
    );
  }

  contents(storeId: string, versions: number[]): Promise<Map<number, string>> {
    return this.#read(async (tx) => {
      const rows = await tx.rows<[number, string]>(
        `SELECT k.version, f.content FROM unnest($2::bigint[]) k(version)
         CROSS JOIN LATERAL (SELECT content FROM contents f
           WHERE f.store_id = $1 AND f.version = k.version OFFSET 0) f`,
        [storeId, numberArray(versions)],
      );
      return new Map(rows);
    });
  }

  indexedRecords(storeId: string, after: RecordKey | null, limit: number): Promise<RecordVersion[]> {
    return this.#read(async (tx) => {
      // The planner cannot know how many rows are indexed, so OFFSET 0 makes it follow the key's order.
      const rows = await tx.rows<[string, string, number]>(
        `SELECT namespace, id, indexed FROM (
           SELECT namespace, id, indexed FROM records
           WHERE store_id = $1 AND (namespace, id) > ($2, $3)
           ORDER BY namespace, id, generation OFFSET 0) r
         WHERE indexed IS NOT NULL LIMIT $4`,
        [storeId, after?.namespace ?? "", after?.id ?? "", limit],
      );
      const [namespace, id] = rows.at(-1) ?? [];
      if (rows.length === limit) {
        // The caller continues behind the last record, so this page must have all rows of that record.
        const lastRows = await tx.rows<[string, string, number]>(
          `SELECT namespace, id, indexed FROM records
           WHERE store_id = $1 AND namespace = $2 AND id = $3 AND indexed IS NOT NULL`,
          [storeId, namespace, id],
        );
        rows.push(...lastRows);
      }
      // Rows of several generations may share a version.
      const versions = new Map(rows.map(([namespace, id, version]) => [version, { namespace, id, version }]));
      return [...versions.values()];
    });
  }

  chunks(storeId: string, build: number, versions: RecordVersion[]): Promise<Chunk[]> {
    return this.#read(async (tx) => {
      const rows = await tx.rows<[string, string, number, number, string]>(
        `SELECT k.namespace, k.id, k.version, c.ordinal, c.text
         FROM unnest($3::text[], $4::text[], $5::bigint[]) WITH ORDINALITY k(namespace, id, version, number)
         CROSS JOIN LATERAL (SELECT ordinal, text FROM chunks f
           WHERE f.store_id = $1 AND f.namespace = k.namespace AND f.id = k.id AND f.version = k.version
             AND f.build + 0 = $2 OFFSET 0) c
         ORDER BY k.number, c.ordinal`,
        [storeId, build, ...keyColumns(versions)],
      );
      return rows.map(([namespace, id, version, ordinal, text]) => ({
        namespace,
        id,
        version,
        ordinal,
        text,
      }));
    });
  }

  findVectors(storeId: string, space: number, hashes: string[]): Promise<Map<string, number>> {
    return this.#read((tx) => findVectors(tx, storeId, space, hashes));
  }

  async addVectors(storeId: string, space: number, vectors: NewVector[]): Promise<void> {
    for (let from = 0; from < vectors.length; from += VECTORS_ADDED) {
      const batch = vectors.slice(from, from + VECTORS_ADDED);
      await this.#connections.transaction("write", (tx) =>
        Promise.all([tx.rows(FORGETTABLE), addVectors(tx, storeId, space, batch)]),
      );
    }
  }

  segments(storeId: string, build: number): Promise<Segment[]> {
    return this.#read((tx) => readSegments(tx, storeId, build));
  }

  blocks(storeId: string, build: number, segment: number, after: string | null): Promise<SegmentBlock[]> {
    return this.#read(async (tx) => {
      const rows = await tx.rows<[string, string]>(
        `SELECT first_term, encode(data, 'base64') FROM segment_blocks
         WHERE store_id = $1 AND build = $2 AND segment = $3 AND first_term > $4
         ORDER BY first_term LIMIT ${BLOCKS_READ}`,
        [storeId, build, segment, after ?? ""],
      );
      return rows.map(([firstTerm, data]) => ({ firstTerm, data: Buffer.from(data, "base64") }));
    });
  }

  liveChunks(storeId: string, build: number, from: number, to: number): Promise<number[]> {
    return this.#read(async (tx) => {
      const [row] = await tx.rows<[string]>(
        `SELECT coalesce(array_agg(chunk), '{}')::text FROM chunks
         WHERE store_id = $1 AND build = $2 AND chunk >= $3 AND chunk < $4`,
        [storeId, build, from, to],
      );
      return readNumbers(row![0]);
    });
  }

  maintainVectors(storeId: string): Promise<string | null> {
    return this.#vectorIndexes.maintain(storeId);
  }

  async sweep(now: number): Promise<MaintenanceStep> {
    const step = await sweepIndex(this.#connections);
    if (step.more) return step;
    this.#sweptVectors = await sweepVectors(this.#connections, this.#sweptVectors, now);
    return { rows: 0, more: await this.#vectorIndexes.sweep() };
  }

  search<T>(storeId: string, work: (index: IndexSnapshot) => Promise<T>): Promise<T> {
    return this.#read((tx) => work(new PostgresIndexSnapshot(tx, storeId)));
  }

  close(): Promise<void> {
    return this.#vectorIndexes.close();
  }

  #read<T>(work: (tx: Transaction) => Promise<T>): Promise<T> {
    return this.#connections.transaction("read", work);
  }
}
