import type { Near } from "../index-port.ts";
import { realArray, textArray } from "./arrays.ts";
import type { Transaction } from "./connections.ts";
import { CHUNKS_OF_NAMESPACE } from "./lookups.ts";
import { findPgvector, indexedType, type Pgvector, pgvectorProblem } from "./pgvector.ts";

/**
 * Nearest neighbours with pgvector. All vectors have length 1, so that the inner product is the cosine.
 * docs/decisions/0012-vectors-on-postgresql.md has the figures.
 */

/** Up to so many chunks are compared one by one. */
export const EXACT_CHUNKS = 20_000;

/** Where to look, and for what. */
interface NearestQuery {
  storeId: string;
  build: number;
  space: number;
  query: Float32Array;
  namespaces: string[] | null;
  limit: number;
}

/** The chunks whose vectors are nearest, best first; none without pgvector. */
export async function nearestChunks(tx: Transaction, of: NearestQuery): Promise<Near[]> {
  const [pgvector, few] = await Promise.all([findPgvector(tx), areFew(tx, of)]);
  if (!pgvector || pgvectorProblem(pgvector) !== null) return [];
  const rows = await (few ? compareAll(tx, pgvector, of) : walk(tx, pgvector, of));
  return rows.map(([chunk, similarity]) => ({ chunk, similarity }));
}

type Row = [chunk: number, similarity: number];

/** Whether so few chunks are asked for that no index is quicker. */
async function areFew(tx: Transaction, { storeId, build, namespaces }: NearestQuery): Promise<boolean> {
  if (!namespaces) return false;
  const [row] = await tx.rows<[number]>(
    `SELECT count(*) FROM (
       SELECT 1 FROM unnest($3::text[]) k(namespace) CROSS JOIN ${CHUNKS_OF_NAMESPACE} c
       LIMIT ${EXACT_CHUNKS + 1}) c`,
    [storeId, build, textArray(namespaces)],
  );
  return row![0] <= EXACT_CHUNKS;
}

/** Compares the query with every chunk of the namespaces. */
function compareAll(tx: Transaction, { schema }: Pgvector, of: NearestQuery): Promise<Row[]> {
  const { storeId, build, space, query, namespaces, limit } = of;
  const type = `${schema}.vector(${query.length})`;
  return tx.rows<Row>(
    `SELECT c.chunk, -(v.embedding::${type} OPERATOR(${schema}.<#>) $5::real[]::${type}) AS similarity
     FROM unnest($4::text[]) k(namespace)
     CROSS JOIN ${CHUNKS_OF_NAMESPACE} c
     CROSS JOIN LATERAL (
       SELECT embedding FROM vectors f
       WHERE f.store_id = $1 AND f.space = $3 AND f.vector = c.vector OFFSET 0) v
     ORDER BY similarity DESC, c.chunk LIMIT $6`,
    [storeId, build, space, textArray(namespaces!), realArray([query]), limit],
  );
}

/** Goes through the space's vectors from the nearest on, by an index where there is one. */
async function walk(tx: Transaction, pgvector: Pgvector, of: NearestQuery): Promise<Row[]> {
  const { storeId, build, space, query, namespaces, limit } = of;
  const { schema } = pgvector;
  const exact = `${schema}.vector(${query.length})`;
  const type = indexedType(pgvector, query.length)?.type ?? exact;
  const within = namespaces ? "AND f.namespace = ANY ($5::text[])" : "";
  const rows = await tx.rows<Row>(
    `SELECT c.chunk, -(v.embedding::${exact} OPERATOR(${schema}.<#>) $3::real[]::${exact})
     FROM (
       SELECT vector, embedding, embedding::${type} OPERATOR(${schema}.<#>) $3::real[]::${type} AS distance
       FROM vectors WHERE store_id = $1 AND space = ${space} ORDER BY distance) v
     CROSS JOIN LATERAL (
       SELECT chunk FROM chunks f
       WHERE f.store_id = $1 AND f.vector = v.vector AND f.build + 0 = $2 ${within} OFFSET 0) c
     LIMIT $4`,
    [storeId, build, realArray([query]), limit, ...(namespaces ? [textArray(namespaces)] : [])],
  );
  return rows.sort((a, b) => b[1] - a[1] || a[0] - b[0]);
}
