import type { Build, Candidate, IndexSnapshot, Segment, ShownChunk, TermBlock } from "../index-port.ts";
import { IS_PENDING, versionsEnd } from "../rules.ts";
import { IS_CURRENT } from "../visibility.ts";
import { numberArray, readNumbers, textArray } from "./arrays.ts";
import type { Transaction } from "./connections.ts";
import { readBuilds, readSegments } from "./index-rows.ts";
import { CHUNKS_OF_NAMESPACE } from "./lookups.ts";
import { findPgvector, pgvectorProblem } from "./pgvector.ts";
import { nearestChunks } from "./vectors.ts";

/** One committed state of a store's index on PostgreSQL. */
export class PostgresIndexSnapshot implements IndexSnapshot {
  #tx: Transaction;
  #storeId: string;

  /** @param tx a transaction that reads one snapshot */
  constructor(tx: Transaction, storeId: string) {
    this.#tx = tx;
    this.#storeId = storeId;
  }

  async activeBuild(): Promise<Build | undefined> {
    return (await readBuilds(this.#tx, this.#storeId)).find(({ state }) => state === "active");
  }

  async liveSegments(build: number): Promise<Segment[]> {
    return (await readSegments(this.#tx, this.#storeId, build)).filter(({ state }) => state === "live");
  }

  async blocksOf(build: number, segments: number[], terms: string[]): Promise<TermBlock[]> {
    // The first step finds the blocks' keys, so that the second reads each block once, however many terms it serves.
    // The driver reads text, and Base64 takes half the time of its default, hex.
    const rows = await this.#rows<[number, string, string]>(
      `WITH found AS MATERIALIZED (
         SELECT s.segment, b.first_term, array_agg(t.number) AS numbers
         FROM unnest($3::bigint[]) s(segment)
         CROSS JOIN unnest($4::text[]) WITH ORDINALITY t(term, number)
         CROSS JOIN LATERAL (
           SELECT f.first_term FROM segment_blocks f
           WHERE f.store_id = $1 AND f.build = $2 AND f.segment = s.segment
             AND f.first_term <= t.term COLLATE "C"
           ORDER BY f.first_term DESC LIMIT 1) b
         GROUP BY s.segment, b.first_term)
       SELECT found.segment, found.numbers::text, b.data FROM found
       CROSS JOIN LATERAL (
         SELECT encode(f.data, 'base64') AS data FROM segment_blocks f WHERE f.store_id = $1 AND f.build = $2
           AND f.segment = found.segment AND f.first_term = found.first_term OFFSET 0) b`,
      ...[build, numberArray(segments), textArray(terms)],
    );
    return rows.flatMap(([segment, numbers, text]) => {
      const data = Buffer.from(text, "base64");
      return readNumbers(numbers).map((number) => ({ segment, term: terms[number - 1]!, data }));
    });
  }

  async visible(
    build: number,
    chunks: number[],
    namespaces: string[] | null,
    withContent: boolean,
  ): Promise<ShownChunk[]> {
    const content = withContent
      ? "(SELECT o.content FROM contents o WHERE o.store_id = $1 AND o.version = r.version)"
      : "NULL";
    const within = namespaces ? "AND f.namespace = ANY ($4::text[])" : "";
    type Row = [number, string, string, number, string, number, string | null];
    const rows = await this.#rows<Row>(
      `SELECT k.chunk, c.namespace, c.id, c.ordinal, c.text, r.written_at, ${content}
       FROM unnest($3::bigint[]) k(chunk)
       CROSS JOIN LATERAL (
         SELECT namespace, id, version, ordinal, text FROM chunks f
         WHERE f.store_id = $1 AND f.build = $2 AND f.chunk = k.chunk ${within} OFFSET 0) c
       CROSS JOIN LATERAL (
         SELECT generation, carried_in, also_carried_in, decided_at, version, written_at FROM records f
         WHERE f.store_id = $1 AND f.namespace = c.namespace AND f.id = c.id AND f.indexed = c.version OFFSET 0) r
       JOIN namespaces n ON n.store_id = $1 AND n.namespace = c.namespace
       WHERE ${IS_CURRENT}`,
      ...[build, numberArray(chunks), ...(namespaces ? [textArray(namespaces)] : [])],
    );
    return rows.map(([chunk, namespace, id, ordinal, text, writtenAt, content]) => ({
      ...{ chunk, namespace, id, ordinal, text, writtenAt, content },
    }));
  }

  async countChunks(build: number, namespaces: string[], limit: number): Promise<number> {
    const [row] = await this.#rows<[number]>(
      `SELECT count(*) FROM (
         SELECT 1 FROM unnest($3::text[]) k(namespace) CROSS JOIN ${CHUNKS_OF_NAMESPACE} c LIMIT $4) c`,
      ...[build, textArray(namespaces), limit],
    );
    return row![0];
  }

  async chunksOf(build: number, namespaces: string[]): Promise<number[]> {
    const [row] = await this.#rows<[string]>(
      `SELECT coalesce(array_agg(c.chunk), '{}')::text FROM unnest($3::text[]) k(namespace)
       CROSS JOIN ${CHUNKS_OF_NAMESPACE} c`,
      ...[build, textArray(namespaces)],
    );
    return readNumbers(row![0]);
  }

  async vectorProblem(): Promise<string | null> {
    return pgvectorProblem(await findPgvector(this.#tx));
  }

  async nearest(
    build: Build,
    query: Float32Array,
    namespaces: string[] | null,
    limit: number,
  ): Promise<Candidate[]> {
    if (build.space === null) return [];
    return nearestChunks(this.#tx, { storeId: this.#storeId, build, query, namespaces, limit });
  }

  async pending(revision: number | null, limit: number): Promise<number> {
    const [row] = await this.#rows<[number]>(
      `SELECT count(*) FROM (SELECT FROM index_queue
         WHERE store_id = $1 AND ${IS_PENDING} AND ($2::bigint IS NULL OR version < $2) LIMIT $3) q`,
      ...[revision === null ? null : versionsEnd(revision), limit],
    );
    return row![0];
  }

  /** Runs a statement whose $1 is the store. */
  #rows<Row extends unknown[]>(text: string, ...values: unknown[]): Promise<Row[]> {
    return this.#tx.rows<Row>(text, [this.#storeId, ...values]);
  }
}
