import type { Build, Candidate } from "../index-port.ts";
import { realArray, textArray } from "./arrays.ts";
import type { Transaction } from "./connections.ts";
import { CHUNKS_OF_NAMESPACE } from "./lookups.ts";
import { findPgvector, indexedType, type Pgvector, pgvectorProblem } from "./pgvector.ts";

/**
 * Nearest neighbours with pgvector. All vectors have length 1, so the inner product is the cosine.
 * docs/decisions/0013-vectors-on-postgresql.md has the figures.
 */

/** A space with more vectors than this has an index; a smaller one is compared vector by vector. */
export const INDEXED_VECTORS = 10_000;
/** Comparing this many chunks takes less than 30 ms. */
const EXACT_CHUNKS = 5000;
/** How many times longer a step to the next vector takes in the index than comparing one vector. */
const STEP_COST = 6;

/** How many vectors the index examines before each group of results. */
const EF_SEARCH = 200;
/** How many vectors the index examines at most if a filter leaves too few, and in how many times 4 MB of memory. */
const SCAN_TUPLES_MAX = 200_000;
const SCAN_MEMORY = 50;

/** A query for the chunks with the nearest vectors. */
interface NearestQuery {
  storeId: string;
  build: Build;
  query: Float32Array;
  /** Null: all. */
  namespaces: string[] | null;
  limit: number;
}

/**
 * The chunks whose vectors are nearest, best first; none without pgvector.
 * @param exactChunks if the namespaces have at most this many chunks, all of them are compared
 */
export async function nearestChunks(
  tx: Transaction,
  nearest: NearestQuery,
  exactChunks = EXACT_CHUNKS,
): Promise<Candidate[]> {
  const [pgvector, few] = await Promise.all([findPgvector(tx), areFew(tx, nearest, exactChunks)]);
  if (!pgvector || pgvectorProblem(pgvector) !== null) return [];
  const rows = await (few ? compareAll(tx, pgvector, nearest) : walk(tx, pgvector, nearest));
  return rows
    .map(([chunk, score]) => ({ chunk, score }))
    .sort((a, b) => b.score - a.score || a.chunk - b.chunk);
}

type Row = [chunk: number, similarity: number];

/**
 * Whether comparing all chunks of the namespaces is faster than walking the index: the fewer they are, the more other
 * chunks the walk passes between two of them.
 */
async function areFew(tx: Transaction, nearest: NearestQuery, exactChunks: number): Promise<boolean> {
  const { storeId, build, namespaces, limit } = nearest;
  if (!namespaces) return false;
  const most = Math.max(exactChunks, Math.ceil(Math.sqrt(STEP_COST * limit * build.chunks)));
  const [row] = await tx.rows<[number]>(
    `SELECT count(*) FROM (
       SELECT 1 FROM unnest($3::text[]) k(namespace) CROSS JOIN ${CHUNKS_OF_NAMESPACE} c
       LIMIT ${most + 1}) c`,
    [storeId, build.build, textArray(namespaces)],
  );
  return row![0] <= most;
}

/** Compares the query with every chunk of the namespaces. */
function compareAll(tx: Transaction, { schema }: Pgvector, nearest: NearestQuery): Promise<Row[]> {
  const { storeId, build, query, namespaces, limit } = nearest;
  const type = `${schema}.vector(${query.length})`;
  return tx.rows<Row>(
    `SELECT c.chunk, -(v.embedding::${type} OPERATOR(${schema}.<#>) $5::real[]::${type}) AS similarity
     FROM unnest($4::text[]) k(namespace)
     CROSS JOIN ${CHUNKS_OF_NAMESPACE} c
     CROSS JOIN LATERAL (
       SELECT embedding FROM vectors f
       WHERE f.store_id = $1 AND f.space = $3 AND f.vector = c.vector OFFSET 0) v
     ORDER BY similarity DESC, c.chunk LIMIT $6`,
    [storeId, build.build, build.space, textArray(namespaces!), realArray([query]), limit],
  );
}

/**
 * Walks the space's vectors from the nearest on, by the index if there is one. The index returns groups, and a later
 * group may have nearer vectors than an earlier one; keeping those finds more of the nearest.
 */
async function walk(tx: Transaction, pgvector: Pgvector, nearest: NearestQuery): Promise<Row[]> {
  const { storeId, build, query, namespaces, limit } = nearest;
  const { schema } = pgvector;
  const exact = `${schema}.vector(${query.length})`;
  const type = indexedType(pgvector, query.length)?.type ?? exact;
  const within = namespaces ? "AND f.namespace = ANY ($5::text[])" : "";
  // If the index is only approximate (`halfvec`), the similarity is computed again from the whole vector.
  const similarity =
    type === exact
      ? "-v.distance"
      : `(SELECT -(f.embedding::${exact} OPERATOR(${schema}.<#>) $3::real[]::${exact}) FROM vectors f
          WHERE f.store_id = $1 AND f.space = ${build.space} AND f.vector = v.vector)`;
  const [, rows] = await Promise.all([
    // Without statistics, the planner would sort all vectors instead of using the index.
    tx.rows(`SET LOCAL enable_sort = off; SET LOCAL hnsw.iterative_scan = relaxed_order;
      SET LOCAL hnsw.ef_search = ${EF_SEARCH}; SET LOCAL hnsw.max_scan_tuples = ${SCAN_TUPLES_MAX};
      SET LOCAL hnsw.scan_mem_multiplier = ${SCAN_MEMORY}`),
    // The index is for one space, so the number is part of the text, where the planner sees it.
    tx.rows<Row>(
      `SELECT c.chunk, ${similarity}
       FROM (
         SELECT vector, embedding::${type} OPERATOR(${schema}.<#>) $3::real[]::${type} AS distance
         FROM vectors WHERE store_id = $1 AND space = ${build.space} ORDER BY distance) v
       CROSS JOIN LATERAL (
         SELECT chunk FROM chunks f
         WHERE f.store_id = $1 AND f.vector = v.vector AND f.build + 0 = $2 ${within} OFFSET 0) c
       LIMIT $4`,
      [...[storeId, build.build, realArray([query]), limit], ...(namespaces ? [textArray(namespaces)] : [])],
    ),
    tx.rows("SET LOCAL enable_sort TO DEFAULT"),
  ]);
  return rows;
}
