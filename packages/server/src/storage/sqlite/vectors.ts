import type { Near } from "../index-port.ts";
import type { Connection } from "./connection.ts";
import { bytesOfCode, CodeScan, encode, topOf } from "./vector-scan.ts";

/**
 * Nearest neighbours without an index: all vectors of a space are ranked by codes of two bits a component, and the best of them
 * again by what they really are. docs/decisions/0012-vectors.md has the figures.
 */

/** Vectors whose codes lie in one row. */
const BLOCK_VECTORS = 512;
/** How many of the best by codes are ranked again: so many at least, and this share of all. */
const RESCORED_MIN = 1000;
const RESCORED_SHARE = 0.02;
const RESCORED_PER_RESULT = 4;
/** Up to so many chunks of some namespaces are ranked without looking at codes. */
const EXACT_CHUNKS = 5000;

/** Appends the codes of new vectors, which have the highest numbers. */
export function addCodes(
  connection: Connection,
  storeId: string,
  space: number,
  vectors: { vector: number; embedding: Float32Array }[],
): void {
  const read = connection.statement(
    "SELECT codes, scales FROM vector_codes WHERE store_id = ?1 AND space = ?2 AND block = ?3",
  );
  const write = connection.statement("INSERT OR REPLACE INTO vector_codes VALUES (?1, ?2, ?3, ?4, ?5)");
  const blocks = Map.groupBy(vectors, ({ vector }) => Math.floor(vector / BLOCK_VECTORS));
  for (const [block, of] of blocks) {
    const { vector: last, embedding } = of.at(-1)!;
    const bytes = bytesOfCode(embedding.length);
    const count = last - block * BLOCK_VECTORS + 1;
    const codes = new Uint8Array(count * bytes);
    const scales = new Float32Array(count);
    const before = read.get(storeId, space, block) as Codes | undefined;
    if (before) {
      codes.set(before.codes.subarray(0, codes.length));
      scales.set(floatsOf(before.scales).subarray(0, count));
    }
    for (const { vector, embedding } of of) {
      const at = vector - block * BLOCK_VECTORS;
      const { code, scale } = encode(embedding);
      codes.set(code, at * bytes);
      scales[at] = scale;
    }
    write.run(storeId, space, block, codes, new Uint8Array(scales.buffer));
  }
}

interface Codes {
  codes: Uint8Array;
  scales: Uint8Array;
}

/** Where to look, and for what. */
interface NearestQuery {
  storeId: string;
  build: number;
  space: number;
  query: Float32Array;
  namespaces: string[] | null;
  limit: number;
}

/** The chunks whose vectors are nearest, best first. */
export function nearestChunks(connection: Connection, of: NearestQuery): Near[] {
  const { namespaces, limit } = of;
  const scope = namespaces && chunksWithVectors(connection, of, namespaces);
  if (scope && scope.length <= EXACT_CHUNKS) {
    const near = rescore(connection, of, [...new Set(scope.map(([, vector]) => vector))]);
    return chunksOfVectors(near, scope).slice(0, limit);
  }
  const allowed = scope && new Set(scope.map(([, vector]) => vector));
  const candidates = bestByCodes(connection, of, allowed);
  const near = rescore(connection, of, candidates).slice(0, limit);
  return chunksOfVectors(near, scope ?? chunksOfSome(connection, of, near)).slice(0, limit);
}

type ChunkAndVector = [chunk: number, vector: number];

function chunksWithVectors(
  connection: Connection,
  { storeId, build }: NearestQuery,
  namespaces: string[],
): ChunkAndVector[] {
  const { found } = connection
    .statement(
      `SELECT json_group_array(json_array(c.chunk, c.vector)) AS found
       FROM json_each(?3) j CROSS JOIN chunks c
         ON c.store_id = ?1 AND c.build = ?2 AND c.namespace = j.value AND c.vector IS NOT NULL`,
    )
    .get(storeId, build, JSON.stringify(namespaces)) as { found: string };
  return JSON.parse(found);
}

function chunksOfSome(
  connection: Connection,
  { storeId, build }: NearestQuery,
  near: Near[],
): ChunkAndVector[] {
  const { found } = connection
    .statement(
      `SELECT json_group_array(json_array(c.chunk, c.vector)) AS found
       FROM json_each(?3) j CROSS JOIN chunks c INDEXED BY chunks_by_vector
         ON c.store_id = ?1 AND c.build = ?2 AND c.vector = j.value AND c.vector IS NOT NULL`,
    )
    .get(storeId, build, JSON.stringify(near.map(({ chunk }) => chunk))) as { found: string };
  return JSON.parse(found);
}

/** From vectors, under `chunk`, to the chunks that have them; several may have one. */
function chunksOfVectors(near: Near[], pairs: ChunkAndVector[]): Near[] {
  const chunks = Map.groupBy(pairs, ([, vector]) => vector);
  return near.flatMap(({ chunk: vector, similarity }) =>
    (chunks.get(vector) ?? []).map(([chunk]) => ({ chunk, similarity })).sort((a, b) => a.chunk - b.chunk),
  );
}

/** The vectors that look nearest by their codes. */
function bestByCodes(
  connection: Connection,
  { storeId, space, query, limit }: NearestQuery,
  allowed: Set<number> | null,
): number[] {
  const rows = connection
    .statement(
      "SELECT block, codes, scales FROM vector_codes WHERE store_id = ?1 AND space = ?2 ORDER BY block",
    )
    .iterate(storeId, space) as Iterable<{ block: number } & Codes>;
  const scan = new CodeScan(query);
  const scores: Float32Array[] = [];
  let end = 0;
  for (const { block, codes, scales } of rows) {
    const start = block * BLOCK_VECTORS;
    // Blocks are full but for the last; where one is missing, nothing is near.
    if (start > end) scores.push(new Float32Array(start - end).fill(Number.NEGATIVE_INFINITY));
    const found = scan.scores(codes, floatsOf(scales));
    scores.push(found);
    end = start + found.length;
  }
  const all = new Float32Array(end);
  let at = 0;
  for (const part of scores) {
    all.set(part, at);
    at += part.length;
  }
  if (allowed) {
    for (let vector = 0; vector < end; vector++) {
      if (!allowed.has(vector)) all[vector] = Number.NEGATIVE_INFINITY;
    }
  }
  const rescored = Math.max(RESCORED_MIN, limit * RESCORED_PER_RESULT, Math.ceil(end * RESCORED_SHARE));
  return topOf(all, Math.min(rescored, end));
}

/** Vectors in the order of what they really are; the number of each under `chunk`. */
function rescore(connection: Connection, { storeId, space, query }: NearestQuery, vectors: number[]): Near[] {
  const rows = connection
    .statement(
      `SELECT v.vector, v.embedding FROM json_each(?3) j CROSS JOIN vectors v
         ON v.store_id = ?1 AND v.space = ?2 AND v.vector = j.value`,
    )
    .all(storeId, space, JSON.stringify(vectors)) as { vector: number; embedding: Uint8Array }[];
  const near: Near[] = [];
  for (const { vector, embedding } of rows) {
    near.push({ chunk: vector, similarity: dot(query, floatsOf(embedding)) });
  }
  return near.sort((a, b) => b.similarity - a.similarity || a.chunk - b.chunk);
}

/** Of vectors of length 1: their cosine. */
function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function floatsOf(bytes: Uint8Array): Float32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}
