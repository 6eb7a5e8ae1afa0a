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
import type { Connection } from "./connection.ts";
import { findVectors, readBuilds, readSegments } from "./index-rows.ts";
import { addCodes } from "./vectors.ts";

/** Changes a store's index on SQLite, within a transaction that has the write lock. */
export class SqliteIndexTransaction implements IndexTransaction {
  #connection: Connection;
  #storeId: string;

  constructor(connection: Connection, storeId: string) {
    this.#connection = connection;
    this.#storeId = storeId;
  }

  async builds(): Promise<Build[]> {
    return readBuilds(this.#connection, this.#storeId);
  }

  async putBuild(build: Build): Promise<void> {
    const { nextChunk, nextSegment, chunks, terms, walked } = build;
    this.#sql(
      `INSERT OR REPLACE INTO index_builds
         (store_id, build, state, settings, space, next_chunk, next_segment, chunks, terms,
          walked_namespace, walked_id, created_at)
       VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)`,
    ).run(
      ...[this.#storeId, build.build, build.state, writeBuildSettings(build.settings), build.space],
      ...[nextChunk, nextSegment, chunks, terms, walked?.namespace ?? null, walked?.id ?? null],
      build.createdAt,
    );
  }

  async queued(versions: number[]): Promise<Set<number>> {
    const rows = this.#sql(
      `SELECT q.version FROM json_each(?2) j CROSS JOIN index_queue q
         ON q.store_id = ?1 AND q.version = j.value`,
    ).all(this.#storeId, JSON.stringify(versions));
    return new Set(rows.map(({ version }) => version as number));
  }

  async settle(versions: number[]): Promise<void> {
    const settle = this.#sql("DELETE FROM index_queue WHERE store_id = ?1 AND version = ?2");
    for (const version of versions) settle.run(this.#storeId, version);
  }

  async setIndexed(rows: RecordRow[]): Promise<void> {
    const set = this.#sql(
      `UPDATE records SET indexed = ?5
       WHERE store_id = ?1 AND namespace = ?2 AND id = ?3 AND generation = ?4`,
    );
    for (const { namespace, id, generation, indexed } of rows) {
      set.run(this.#storeId, namespace, id, generation, indexed);
    }
  }

  async addChunks(build: number, chunks: IndexedChunk[]): Promise<void> {
    const add = this.#sql(`INSERT INTO chunks
        (store_id, build, chunk, namespace, id, version, ordinal, text, terms, vector)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)`);
    for (const { chunk, namespace, id, version, ordinal, text, terms, vector } of chunks) {
      add.run(this.#storeId, build, chunk, namespace, id, version, ordinal, text, terms, vector);
    }
  }

  async versionsIn(build: number, versions: RecordVersion[]): Promise<Set<number>> {
    const has = this.#sql(
      `SELECT 1 FROM chunks WHERE store_id = ?1 AND build = ?2 AND namespace = ?3 AND id = ?4 AND version = ?5 LIMIT 1`,
    );
    const present = versions.filter(({ namespace, id, version }) =>
      has.get(this.#storeId, build, namespace, id, version),
    );
    return new Set(present.map(({ version }) => version));
  }

  async dropChunks(versions: RecordVersion[]): Promise<Map<number, { chunks: number; terms: number }>> {
    const dropped = new Map<number, { chunks: number; terms: number }>();
    const drop = this.#sql(
      `DELETE FROM chunks WHERE store_id = ?1 AND build = ?2 AND namespace = ?3 AND id = ?4 AND version = ?5
       RETURNING terms`,
    );
    for (const { build } of await this.builds()) {
      const sum = { chunks: 0, terms: 0 };
      for (const { namespace, id, version } of versions) {
        for (const { terms } of drop.all(this.#storeId, build, namespace, id, version)) {
          sum.chunks++;
          sum.terms += terms as number;
        }
      }
      dropped.set(build, sum);
    }
    return dropped;
  }

  async segments(build: number): Promise<Segment[]> {
    return readSegments(this.#connection, this.#storeId, build);
  }

  async putSegment(build: number, row: Segment): Promise<void> {
    const { segment, state, firstChunk, endChunk, chunks, bytes, makingUntil } = row;
    this.#sql(`INSERT OR REPLACE INTO segments
        (store_id, build, segment, state, first_chunk, end_chunk, chunks, bytes, making_until)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)`).run(
      ...[this.#storeId, build, segment, state, firstChunk, endChunk, chunks, bytes, makingUntil],
    );
  }

  async addBlocks(build: number, segment: number, blocks: SegmentBlock[]): Promise<void> {
    const add = this.#sql(`INSERT INTO segment_blocks (store_id, build, segment, first_term, data)
      VALUES (?1, ?2, ?3, ?4, ?5)`);
    for (const { firstTerm, data } of blocks) add.run(this.#storeId, build, segment, firstTerm, data);
  }

  async addVectors(space: number, vectors: NewVector[]): Promise<void> {
    const last = this.#sql(
      "SELECT coalesce(max(vector), -1) AS last FROM vectors WHERE store_id = ?1 AND space = ?2",
    ).get(this.#storeId, space)!.last as number;
    const add = this.#sql(
      `INSERT INTO vectors (store_id, space, vector, hash, embedding) VALUES (?1, ?2, ?3, ?4, ?5)
       ON CONFLICT (store_id, space, hash) DO NOTHING`,
    );
    const added: { vector: number; embedding: Float32Array }[] = [];
    for (const { hash, embedding } of vectors) {
      const vector = last + 1 + added.length;
      const bytes = new Uint8Array(embedding.buffer, embedding.byteOffset, embedding.byteLength);
      const { changes } = add.run(this.#storeId, space, vector, hash, bytes);
      if (changes) added.push({ vector, embedding });
    }
    addCodes(this.#connection, this.#storeId, space, added);
  }

  async findVectors(space: number, hashes: string[]): Promise<Map<string, number>> {
    return findVectors(this.#connection, this.#storeId, space, hashes);
  }

  #sql(text: string) {
    return this.#connection.statement(text);
  }
}
