import type { Candidate } from "../index-port.ts";
import type { Connection } from "./connection.ts";
import { CodeScan, encode, topOf } from "./vector-scan.ts";

/**
 * Nearest neighbours without an index: all vectors of a space are ranked by codes of two bits per component, and the
 * best ones are ranked again exactly. docs/decisions/0012-vectors.md has the figures.
 */

/** Vectors per row of codes. */
const BLOCK_VECTORS = 512;
/** How many of the best by codes are ranked exactly: at least this many, this share of all, and so many per result. */
const RESCORED_MIN = 1000;
const RESCORED_SHARE = 0.02;
const RESCORED_PER_RESULT = 4;
/** If the namespaces have at most this many chunks, all of them are ranked exactly. */
const EXACT_CHUNKS = 5000;

type BlockKey = [storeId: string, space: number, block: number];

/** The code of the vector with the number `block * BLOCK_VECTORS + place`. */
interface Coded {
  place: number;
  code: Uint8Array;
  scale: number;
}

/** A row of `vector_codes`. */
interface BlockRow {
  places: Uint8Array;
  codes: Uint8Array;
  scales: Uint8Array;
}

const blockOf = (vector: number): number => Math.floor(vector / BLOCK_VECTORS);
const placeOf = (vector: number): number => vector % BLOCK_VECTORS;

/** Appends the codes of new vectors, which have the highest numbers. */
export function addCodes(
  connection: Connection,
  storeId: string,
  space: number,
  vectors: { vector: number; embedding: Float32Array }[],
): void {
  for (const [block, added] of Map.groupBy(vectors, ({ vector }) => blockOf(vector))) {
    const coded = added.map(({ vector, embedding }) => ({ place: placeOf(vector), ...encode(embedding) }));
    changeBlock(connection, [storeId, space, block], (before) => [...before, ...coded]);
  }
}

/** Removes the codes of removed vectors. */
export function dropCodes(
  connection: Connection,
  vectors: { store_id: string; space: number; vector: number }[],
): void {
  const blocks = Map.groupBy(vectors, ({ store_id, space, vector }) =>
    JSON.stringify([store_id, space, blockOf(vector)] satisfies BlockKey),
  );
  for (const [key, gone] of blocks) {
    const places = new Set(gone.map(({ vector }) => placeOf(vector)));
    changeBlock(connection, JSON.parse(key), (before) => before.filter(({ place }) => !places.has(place)));
  }
}

/** Replaces a block's codes, or deletes the block if no code is left. */
function changeBlock(connection: Connection, key: BlockKey, change: (before: Coded[]) => Coded[]): void {
  const at = "store_id = ?1 AND space = ?2 AND block = ?3";
  const row = connection.statement(`SELECT places, codes, scales FROM vector_codes WHERE ${at}`).get(...key);
  const coded = change(row ? readBlock(row as unknown as BlockRow) : []);
  if (coded.length === 0) {
    connection.statement(`DELETE FROM vector_codes WHERE ${at}`).run(...key);
    return;
  }
  const places = Uint16Array.from(coded, ({ place }) => place);
  const scales = Float32Array.from(coded, ({ scale }) => scale);
  connection
    .statement(`INSERT OR REPLACE INTO vector_codes (store_id, space, block, places, codes, scales)
      VALUES (?1, ?2, ?3, ?4, ?5, ?6)`)
    .run(
      ...key,
      new Uint8Array(places.buffer),
      Buffer.concat(coded.map(({ code }) => code)),
      new Uint8Array(scales.buffer),
    );
}

function readBlock(row: BlockRow): Coded[] {
  const scales = floatsOf(row.scales);
  const bytes = row.codes.length / scales.length;
  return Array.from(placesOf(row.places), (place, at) => ({
    place,
    code: row.codes.subarray(at * bytes, (at + 1) * bytes),
    scale: scales[at]!,
  }));
}

/** A query for the chunks with the nearest vectors. */
interface NearestQuery {
  storeId: string;
  build: number;
  space: number;
  query: Float32Array;
  namespaces: string[] | null;
  limit: number;
}

/** A vector and its similarity to the query; 1 is the same direction. */
interface NearVector {
  vector: number;
  similarity: number;
}

/** The chunks whose vectors are nearest, best first. */
export function nearestChunks(connection: Connection, nearest: NearestQuery): Candidate[] {
  const { namespaces, limit } = nearest;
  const scope = namespaces && chunksOfNamespaces(connection, nearest, namespaces);
  const allowed = scope && new Set(scope.map(([, vector]) => vector));
  if (scope && scope.length <= EXACT_CHUNKS) {
    const near = rescore(connection, nearest, [...allowed!], true).sort(nearestFirst);
    return candidatesOf(near, scope).slice(0, limit);
  }
  const near = bestByCodes(connection, nearest, allowed).slice(0, limit);
  return candidatesOf(near, scope ?? chunksOfVectors(connection, nearest, near)).slice(0, limit);
}

type ChunkAndVector = [chunk: number, vector: number];

function chunksOfNamespaces(
  connection: Connection,
  { storeId, build }: NearestQuery,
  namespaces: string[],
): ChunkAndVector[] {
  const { pairs } = connection
    .statement(
      `SELECT json_group_array(json_array(c.chunk, c.vector)) AS pairs
       FROM json_each(?3) j CROSS JOIN chunks c
         ON c.store_id = ?1 AND c.build = ?2 AND c.namespace = j.value AND c.vector IS NOT NULL`,
    )
    .get(storeId, build, JSON.stringify(namespaces)) as { pairs: string };
  return JSON.parse(pairs);
}

function chunksOfVectors(
  connection: Connection,
  { storeId, build }: NearestQuery,
  near: NearVector[],
): ChunkAndVector[] {
  const { pairs } = connection
    .statement(
      `SELECT json_group_array(json_array(c.chunk, c.vector)) AS pairs
       FROM json_each(?3) j CROSS JOIN chunks c INDEXED BY chunks_by_vector
         ON c.store_id = ?1 AND c.build = ?2 AND c.vector = j.value AND c.vector IS NOT NULL`,
    )
    .get(storeId, build, JSON.stringify(near.map(({ vector }) => vector))) as { pairs: string };
  return JSON.parse(pairs);
}

/** The chunks of the vectors; several chunks may share one. */
function candidatesOf(near: NearVector[], pairs: ChunkAndVector[]): Candidate[] {
  const chunks = Map.groupBy(pairs, ([, vector]) => vector);
  return near.flatMap(({ vector, similarity: score }) =>
    (chunks.get(vector) ?? []).map(([chunk]) => ({ chunk, score })).sort((a, b) => a.chunk - b.chunk),
  );
}

/**
 * The vectors that are nearest by their codes, in exact order. It leaves out vectors that no chunk of the build has,
 * and continues with the next best ones until it has enough, so that it returns at least `limit` vectors or all.
 */
function bestByCodes(
  connection: Connection,
  nearest: NearestQuery,
  allowed: Set<number> | null,
): NearVector[] {
  const { vectors, scores } = scoreCodes(connection, nearest, allowed);
  const share = Math.ceil(vectors.length * RESCORED_SHARE);
  const first = Math.max(RESCORED_MIN, nearest.limit * RESCORED_PER_RESULT, share);
  let near: NearVector[] = [];
  for (let ranked = 0; near.length < first / 2; ) {
    const best = topOf(scores, Math.max(first, ranked));
    if (best.length === 0) break;
    const numbers = best.map((at) => vectors[at]!);
    near = near.concat(rescore(connection, nearest, numbers, allowed !== null));
    for (const at of best) scores[at] = Number.NEGATIVE_INFINITY;
    ranked += best.length;
  }
  return near.sort(nearestFirst);
}

/** Scores a space's vectors by their codes; minus infinity for vectors that are not allowed. */
function scoreCodes(
  connection: Connection,
  { storeId, space, query }: NearestQuery,
  allowed: Set<number> | null,
): { vectors: Float64Array; scores: Float32Array } {
  const rows = connection
    .statement(
      "SELECT block, places, codes, scales FROM vector_codes WHERE store_id = ?1 AND space = ?2 ORDER BY block",
    )
    .iterate(storeId, space) as Iterable<{ block: number } & BlockRow>;
  const scan = new CodeScan(query);
  const blocks: { first: number; places: Uint16Array; scores: Float32Array }[] = [];
  let count = 0;
  for (const { block, places, codes, scales } of rows) {
    const scores = scan.scores(codes, floatsOf(scales));
    blocks.push({ first: block * BLOCK_VECTORS, places: placesOf(places), scores });
    count += scores.length;
  }
  const vectors = new Float64Array(count);
  const scores = new Float32Array(count);
  let at = 0;
  for (const { first, places, scores: ofBlock } of blocks) {
    scores.set(ofBlock, at);
    for (const place of places) vectors[at++] = first + place;
  }
  if (allowed) {
    for (let at = 0; at < count; at++) {
      if (!allowed.has(vectors[at]!)) scores[at] = Number.NEGATIVE_INFINITY;
    }
  }
  return { vectors, scores };
}

/** SQL condition: a chunk of build ?2 has the vector `j.value`. */
const IS_USED = `EXISTS (SELECT 1 FROM chunks c INDEXED BY chunks_by_vector
  WHERE c.store_id = ?1 AND c.build = ?2 AND c.vector = j.value AND c.vector IS NOT NULL)`;

/**
 * Computes the exact similarity of vectors.
 * @param areUsed true: all of them are known to have chunks; false: leaves out those without
 */
function rescore(
  connection: Connection,
  { storeId, build, space, query }: NearestQuery,
  vectors: number[],
  areUsed: boolean,
): NearVector[] {
  const rows = connection
    .statement(
      `SELECT v.vector, v.embedding FROM json_each(?4) j CROSS JOIN vectors v
         ON v.store_id = ?1 AND v.space = ?3 AND v.vector = j.value
       WHERE ${areUsed || IS_USED}`,
    )
    .all(storeId, build, space, JSON.stringify(vectors)) as { vector: number; embedding: Uint8Array }[];
  return rows.map(({ vector, embedding }) => ({ vector, similarity: dot(query, floatsOf(embedding)) }));
}

const nearestFirst = (a: NearVector, b: NearVector): number =>
  b.similarity - a.similarity || a.vector - b.vector;

/** The dot product, which is the cosine of vectors of length 1. */
function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function floatsOf(bytes: Uint8Array): Float32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : bytes.slice();
  return new Float32Array(aligned.buffer, aligned.byteOffset, aligned.byteLength / 4);
}

function placesOf(bytes: Uint8Array): Uint16Array {
  return new Uint16Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 2);
}
