import type { SegmentBlock } from "../../lexical/segment.ts";
import { writeBuildSettings } from "../build-settings.ts";
import type {
  Build,
  IndexedChunk,
  IndexTransaction,
  NewVector,
  RecordVersion,
  Segment,
} from "../index-port.ts";
import type { RecordRow } from "../port.ts";
import { bytesArray, numberArray, textArray } from "./arrays.ts";
import type { Transaction } from "./connections.ts";
import { addVectors, findVectors, keyColumns, readBuilds, readSegments } from "./index-rows.ts";
import { IS_ENTRY_OF } from "./lookups.ts";

/** Changes a store's index on PostgreSQL, within a transaction under the store lock. Each method is one statement. */
export class PostgresIndexTransaction implements IndexTransaction {
  #tx: Transaction;
  #storeId: string;
  #takePlaces: (rows: RecordRow[]) => string;

  /** @param takePlaces the places (`tid[]`) of rows read earlier, which are invalid after the update that follows */
  constructor(tx: Transaction, storeId: string, takePlaces: (rows: RecordRow[]) => string) {
    this.#tx = tx;
    this.#storeId = storeId;
    this.#takePlaces = takePlaces;
  }

  builds(): Promise<Build[]> {
    return readBuilds(this.#tx, this.#storeId);
  }

  async putBuild(build: Build): Promise<void> {
    const { nextChunk, nextSegment, chunks, terms, walked } = build;
    await this.#rows(
      `INSERT INTO index_builds
         (store_id, build, state, settings, space, next_chunk, next_segment, chunks, terms,
          walked_namespace, walked_id, created_at)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
       ON CONFLICT (store_id, build) DO UPDATE SET
         state = excluded.state, settings = excluded.settings, space = excluded.space,
         next_chunk = excluded.next_chunk, next_segment = excluded.next_segment, chunks = excluded.chunks,
         terms = excluded.terms, walked_namespace = excluded.walked_namespace, walked_id = excluded.walked_id,
         created_at = excluded.created_at`,
      ...[
        build.build,
        build.state,
        writeBuildSettings(build.settings),
        build.space,
        nextChunk,
        nextSegment,
        chunks,
        terms,
      ],
      ...[walked?.namespace ?? null, walked?.id ?? null, build.createdAt],
    );
  }

  /** Locks the entries, so that no process defers or claims them before this transaction ends. */
  async queued(versions: number[]): Promise<Set<number>> {
    const rows = await this.#rows<[number]>(
      `SELECT k.version FROM unnest($2::bigint[]) k(version)
       CROSS JOIN LATERAL (SELECT 1 FROM index_queue f
         WHERE f.store_id = $1 AND f.version = k.version FOR UPDATE OFFSET 0) f`,
      // All processes lock entries in the same order, which prevents deadlocks.
      numberArray(versions.toSorted((a, b) => a - b)),
    );
    return new Set(rows.map(([version]) => version));
  }

  async settle(versions: number[]): Promise<void> {
    if (versions.length === 0) return;
    await this.#rows(`DELETE FROM index_queue q WHERE ${IS_ENTRY_OF}`, numberArray(versions));
  }

  async setIndexed(rows: RecordRow[]): Promise<void> {
    if (rows.length === 0) return;
    await this.#rows(
      `UPDATE records SET indexed = ($3::bigint[])[array_position($2::tid[], ctid)]
       WHERE store_id = $1 AND ctid = ANY ($2::tid[])`,
      this.#takePlaces(rows),
      numberArray(rows.map(({ indexed }) => indexed)),
    );
  }

  async addChunks(build: number, chunks: IndexedChunk[]): Promise<void> {
    await this.#rows(
      `INSERT INTO chunks (store_id, build, chunk, namespace, id, version, ordinal, text, terms, vector)
       SELECT $1, $2, c.* FROM unnest($3::bigint[], $4::text[], $5::text[], $6::bigint[], $7::bigint[],
         $8::text[], $9::bigint[], $10::bigint[]) c`,
      build,
      numberArray(chunks.map(({ chunk }) => chunk)),
      textArray(chunks.map(({ namespace }) => namespace)),
      textArray(chunks.map(({ id }) => id)),
      numberArray(chunks.map(({ version }) => version)),
      numberArray(chunks.map(({ ordinal }) => ordinal)),
      textArray(chunks.map(({ text }) => text)),
      numberArray(chunks.map(({ terms }) => terms)),
      numberArray(chunks.map(({ vector }) => vector)),
    );
  }

  async versionsIn(build: number, versions: RecordVersion[]): Promise<Set<number>> {
    const rows = await this.#rows<[number]>(
      `SELECT k.version FROM unnest($3::text[], $4::text[], $5::bigint[]) k(namespace, id, version)
       CROSS JOIN LATERAL (SELECT 1 FROM chunks f
         WHERE f.store_id = $1 AND f.namespace = k.namespace AND f.id = k.id AND f.version = k.version
           AND f.build + 0 = $2 LIMIT 1) c`,
      ...[build, ...keyColumns(versions)],
    );
    return new Set(rows.map(([version]) => version));
  }

  async dropChunks(versions: RecordVersion[]): Promise<Map<number, { chunks: number; terms: number }>> {
    if (versions.length === 0) return new Map();
    const rows = await this.#rows<[number, number, number]>(
      `WITH gone AS (
         DELETE FROM chunks c WHERE c.store_id = $1 AND c.ctid = ANY (ARRAY(
           SELECT p.place FROM unnest($2::text[], $3::text[], $4::bigint[]) k(namespace, id, version)
           CROSS JOIN LATERAL (SELECT ctid AS place FROM chunks f
             WHERE f.store_id = $1 AND f.namespace = k.namespace AND f.id = k.id AND f.version = k.version
             OFFSET 0) p))
         RETURNING c.build, c.terms)
       SELECT build, count(*), sum(terms)::bigint FROM gone GROUP BY build`,
      ...keyColumns(versions),
    );
    return new Map(rows.map(([build, chunks, terms]) => [build, { chunks, terms }]));
  }

  segments(build: number): Promise<Segment[]> {
    return readSegments(this.#tx, this.#storeId, build);
  }

  async putSegment(build: number, row: Segment): Promise<void> {
    const { segment, state, firstChunk, endChunk, chunks, bytes, makingUntil } = row;
    await this.#rows(
      `INSERT INTO segments
         (store_id, build, segment, state, first_chunk, end_chunk, chunks, bytes, making_until)
       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
       ON CONFLICT (store_id, build, segment) DO UPDATE SET
         state = excluded.state, first_chunk = excluded.first_chunk, end_chunk = excluded.end_chunk,
         chunks = excluded.chunks, bytes = excluded.bytes, making_until = excluded.making_until`,
      ...[build, segment, state, firstChunk, endChunk, chunks, bytes, makingUntil],
    );
  }

  async addBlocks(build: number, segment: number, blocks: SegmentBlock[]): Promise<void> {
    if (blocks.length === 0) return;
    await this.#rows(
      `INSERT INTO segment_blocks (store_id, build, segment, first_term, data)
       SELECT $1, $2, $3, b.* FROM unnest($4::text[], $5::bytea[]) b`,
      ...[build, segment, textArray(blocks.map(({ firstTerm }) => firstTerm))],
      bytesArray(blocks.map(({ data }) => data)),
    );
  }

  addVectors(space: number, vectors: NewVector[]): Promise<void> {
    return addVectors(this.#tx, this.#storeId, space, vectors);
  }

  findVectors(space: number, hashes: string[]): Promise<Map<string, number>> {
    return findVectors(this.#tx, this.#storeId, space, hashes);
  }

  /** Runs a statement whose $1 is the store. */
  #rows<Row extends unknown[]>(text: string, ...values: unknown[]): Promise<Row[]> {
    return this.#tx.rows<Row>(text, [this.#storeId, ...values]);
  }
}
