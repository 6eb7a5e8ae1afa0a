import type { SegmentBlock } from "../../lexical/segment.ts";
import type { MaintenanceStep } from "../background-step.ts";
import type {
  Build,
  Candidate,
  Chunk,
  Deferral,
  IndexSnapshot,
  IndexStorage,
  NewVector,
  QueueEntry,
  RecordVersion,
  Segment,
  ShownChunk,
  StoreToIndex,
  TermBlock,
} from "../index-port.ts";
import type { RecordKey } from "../record-key.ts";
import { IS_PENDING, IS_SERVED, versionsEnd } from "../rules.ts";
import { IS_CURRENT } from "../visibility.ts";
import type { Connection } from "./connection.ts";
import { findVectors, readBuilds, readSegments } from "./index-rows.ts";
import { sweepIndex, sweepVectors } from "./index-sweep.ts";
import { SqliteIndexTransaction } from "./index-transaction.ts";
import { nearestChunks } from "./vectors.ts";

/** Blocks per read, about a megabyte. */
const BLOCKS_READ = 256;

type Transact = <T>(kind: "IMMEDIATE" | "DEFERRED", work: () => T | Promise<T>) => Promise<T>;

/** The index on SQLite. */
export class SqliteIndexStorage implements IndexStorage {
  #connection: Connection;
  #writing: Connection;
  #transaction: Transact;
  /** The row of `vectors` behind which the next sweep of unused vectors continues. */
  #sweptVectors = 0;

  /** @param connection for reads; `writing` is for changes */
  constructor(connection: Connection, writing: Connection, transaction: Transact) {
    this.#connection = connection;
    this.#writing = writing;
    this.#transaction = transaction;
  }

  stores(now: number): Promise<StoreToIndex[]> {
    return this.#read(() => {
      const rows = this.#sql(
        `SELECT s.id, s.settings, EXISTS
           (SELECT 1 FROM index_queue q WHERE q.store_id = s.id AND q.due_at <= ?1) AS due,
           EXISTS (SELECT 1 FROM index_builds b WHERE b.store_id = s.id AND b.state = 'building') AS building
         FROM vector_stores s WHERE ${IS_SERVED} ORDER BY s.id`,
      ).all(now) as { id: string; settings: string; due: number; building: number }[];
      return rows.map(({ id, settings, due, building }) => ({
        storeId: id,
        settings,
        due: due === 1,
        building: building === 1,
      }));
    });
  }

  builds(storeId: string): Promise<Build[]> {
    return this.#read(() => readBuilds(this.#connection, storeId));
  }

  claim(storeId: string, now: number, until: number, limit: number): Promise<QueueEntry[]> {
    return this.#transaction("IMMEDIATE", () => {
      const rows = this.#writing
        .statement(
          `UPDATE index_queue SET due_at = ?3 WHERE store_id = ?1 AND version IN
           (SELECT version FROM index_queue WHERE store_id = ?1 AND due_at <= ?2 ORDER BY version LIMIT ?4)
         RETURNING version, namespace, id, attempts`,
        )
        .all(storeId, now, until, limit) as unknown as QueueEntry[];
      return rows.sort((a, b) => a.version - b.version);
    });
  }

  defer(storeId: string, deferrals: Deferral[]): Promise<void> {
    return this.#transaction("IMMEDIATE", () => {
      const put = this.#writing.statement(
        `UPDATE index_queue SET due_at = ?3, attempts = ?4, error = coalesce(?5, error)
         WHERE store_id = ?1 AND version = ?2`,
      );
      for (const { version, dueAt, attempts, error } of deferrals)
        put.run(storeId, version, dueAt, attempts, error);
    });
  }

  contents(storeId: string, versions: number[]): Promise<Map<number, string>> {
    return this.#read(() => {
      const get = this.#sql("SELECT content FROM contents WHERE store_id = ?1 AND version = ?2");
      const contents = versions.map((version) => [version, get.get(storeId, version)?.content] as const);
      return new Map(contents.filter((pair): pair is readonly [number, string] => pair[1] !== undefined));
    });
  }

  indexedRecords(storeId: string, after: RecordKey | null, limit: number): Promise<RecordVersion[]> {
    return this.#read(() => {
      const { namespace, id } = after ?? { namespace: "", id: "" };
      const rows = this.#sql(
        `SELECT DISTINCT namespace, id, indexed AS version FROM records
         WHERE store_id = ?1 AND (namespace, id) > (?2, ?3) AND indexed IS NOT NULL
         ORDER BY namespace, id LIMIT ?4`,
      ).all(storeId, namespace, id, limit) as unknown as RecordVersion[];
      const last = rows.at(-1);
      if (!last || rows.length < limit) return rows;
      // The caller continues behind the last record, so this page must have all rows of that record.
      const lastRows = this.#sql(
        `SELECT DISTINCT namespace, id, indexed AS version FROM records
         WHERE store_id = ?1 AND namespace = ?2 AND id = ?3 AND indexed IS NOT NULL`,
      ).all(storeId, last.namespace, last.id) as unknown as RecordVersion[];
      return [...rows.filter((row) => row.namespace !== last.namespace || row.id !== last.id), ...lastRows];
    });
  }

  chunks(storeId: string, build: number, versions: RecordVersion[]): Promise<Chunk[]> {
    return this.#read(() => {
      const get = this.#sql(
        `SELECT ordinal, text FROM chunks
         WHERE store_id = ?1 AND build = ?2 AND namespace = ?3 AND id = ?4 AND version = ?5 ORDER BY ordinal`,
      );
      return versions.flatMap(({ namespace, id, version }) => {
        const rows = get.all(storeId, build, namespace, id, version) as { ordinal: number; text: string }[];
        return rows.map(({ ordinal, text }) => ({ namespace, id, version, ordinal, text }));
      });
    });
  }

  findVectors(storeId: string, space: number, hashes: string[]): Promise<Map<string, number>> {
    return this.#read(() => findVectors(this.#connection, storeId, space, hashes));
  }

  addVectors(storeId: string, space: number, vectors: NewVector[]): Promise<void> {
    return this.#transaction("IMMEDIATE", () =>
      new SqliteIndexTransaction(this.#writing, storeId).addVectors(space, vectors),
    );
  }

  segments(storeId: string, build: number): Promise<Segment[]> {
    return this.#read(() => readSegments(this.#connection, storeId, build));
  }

  blocks(storeId: string, build: number, segment: number, after: string | null): Promise<SegmentBlock[]> {
    return this.#read(() => {
      const rows = this.#sql(
        `SELECT first_term, data FROM segment_blocks
         WHERE store_id = ?1 AND build = ?2 AND segment = ?3 AND first_term > ?4
         ORDER BY first_term LIMIT ${BLOCKS_READ}`,
      ).all(storeId, build, segment, after ?? "") as { first_term: string; data: Uint8Array }[];
      return rows.map(({ first_term, data }) => ({ firstTerm: first_term, data }));
    });
  }

  liveChunks(storeId: string, build: number, from: number, to: number): Promise<number[]> {
    return this.#read(() => {
      const { chunks } = this.#sql(
        `SELECT json_group_array(chunk) AS chunks FROM chunks
         WHERE store_id = ?1 AND build = ?2 AND chunk >= ?3 AND chunk < ?4`,
      ).get(storeId, build, from, to) as { chunks: string };
      return JSON.parse(chunks);
    });
  }

  /** SQLite has no vector index to maintain: a search compares all vectors. */
  async maintainVectors(): Promise<null> {
    return null;
  }

  sweep(now: number): Promise<MaintenanceStep> {
    return this.#transaction("IMMEDIATE", () => {
      const step = sweepIndex(this.#writing, now);
      if (!step.more) this.#sweptVectors = sweepVectors(this.#writing, this.#sweptVectors, now);
      return step;
    });
  }

  search<T>(storeId: string, work: (index: IndexSnapshot) => Promise<T>): Promise<T> {
    return this.#read(() => work(new SqliteIndexSnapshot(this.#connection, storeId)));
  }

  #read<T>(work: () => T | Promise<T>): Promise<T> {
    return this.#transaction("DEFERRED", work);
  }

  #sql(text: string) {
    return this.#connection.statement(text);
  }
}

class SqliteIndexSnapshot implements IndexSnapshot {
  #connection: Connection;
  #storeId: string;

  constructor(connection: Connection, storeId: string) {
    this.#connection = connection;
    this.#storeId = storeId;
  }

  async activeBuild(): Promise<Build | undefined> {
    return readBuilds(this.#connection, this.#storeId).find(({ state }) => state === "active");
  }

  async liveSegments(build: number): Promise<Segment[]> {
    return readSegments(this.#connection, this.#storeId, build).filter(({ state }) => state === "live");
  }

  async blocksOf(build: number, segments: number[], terms: string[]): Promise<TermBlock[]> {
    const find = this.#sql(
      `SELECT data FROM segment_blocks WHERE store_id = ?1 AND build = ?2 AND segment = ?3 AND first_term <= ?4
       ORDER BY first_term DESC LIMIT 1`,
    );
    return segments.flatMap((segment) =>
      terms.flatMap((term) => {
        const data = find.get(this.#storeId, build, segment, term)?.data as Uint8Array | undefined;
        return data ? [{ segment, term, data }] : [];
      }),
    );
  }

  async visible(
    build: number,
    chunks: number[],
    namespaces: string[] | null,
    withContent: boolean,
  ): Promise<ShownChunk[]> {
    const content = withContent
      ? "(SELECT o.content FROM contents o WHERE o.store_id = r.store_id AND o.version = r.version)"
      : "NULL";
    const within = namespaces ? "AND c.namespace IN (SELECT value FROM json_each(?4))" : "";
    const rows = this.#sql(
      `SELECT c.chunk, c.namespace, c.id, c.ordinal, c.text, r.written_at AS writtenAt, ${content} AS content
       FROM json_each(?3) j
       CROSS JOIN chunks c ON c.store_id = ?1 AND c.build = ?2 AND c.chunk = j.value ${within}
       CROSS JOIN namespaces n ON n.store_id = c.store_id AND n.namespace = c.namespace
       CROSS JOIN records r ON r.store_id = c.store_id AND r.namespace = c.namespace AND r.id = c.id
         AND r.indexed = c.version
       WHERE ${IS_CURRENT}`,
    ).all(
      ...[this.#storeId, build, JSON.stringify(chunks)],
      ...(namespaces ? [JSON.stringify(namespaces)] : []),
    );
    return rows as unknown as ShownChunk[];
  }

  async countChunks(build: number, namespaces: string[], limit: number): Promise<number> {
    const { count } = this.#sql(
      `SELECT count(*) AS count FROM (
         SELECT 1 FROM json_each(?3) j CROSS JOIN chunks c
           ON c.store_id = ?1 AND c.build = ?2 AND c.namespace = j.value LIMIT ?4)`,
    ).get(this.#storeId, build, JSON.stringify(namespaces), limit) as { count: number };
    return count;
  }

  async chunksOf(build: number, namespaces: string[]): Promise<number[]> {
    const { chunks } = this.#sql(
      `SELECT json_group_array(c.chunk) AS chunks FROM json_each(?3) j CROSS JOIN chunks c
         ON c.store_id = ?1 AND c.build = ?2 AND c.namespace = j.value`,
    ).get(this.#storeId, build, JSON.stringify(namespaces)) as { chunks: string };
    return JSON.parse(chunks);
  }

  async vectorProblem(): Promise<null> {
    return null;
  }

  async nearest(
    { build, space }: Build,
    query: Float32Array,
    namespaces: string[] | null,
    limit: number,
  ): Promise<Candidate[]> {
    if (space === null) return [];
    const nearest = { storeId: this.#storeId, build, space, query, namespaces, limit };
    return nearestChunks(this.#connection, nearest);
  }

  async pending(revision: number | null, limit: number): Promise<number> {
    const { pending } = this.#sql(
      `SELECT count(*) AS pending FROM (SELECT 1 FROM index_queue
         WHERE store_id = ?1 AND ${IS_PENDING} AND (?2 IS NULL OR version < ?2) LIMIT ?3)`,
    ).get(this.#storeId, revision === null ? null : versionsEnd(revision), limit) as { pending: number };
    return pending;
  }

  #sql(text: string) {
    return this.#connection.statement(text);
  }
}
