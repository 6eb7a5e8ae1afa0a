import { readBuildSettings } from "../build-settings.ts";
import type { Build, NewVector, RecordVersion, Segment } from "../index-port.ts";
import { numberArray, realArray, textArray } from "./arrays.ts";
import type { Transaction } from "./connections.ts";

/** All builds of a store, oldest first. */
export async function readBuilds(tx: Transaction, storeId: string): Promise<Build[]> {
  type Row = [
    ...[number, Build["state"], string, number | null, number, number],
    ...[number, number, string | null, string | null, number],
  ];
  const rows = await tx.rows<Row>(
    `SELECT build, state, settings, space, next_chunk, next_segment, chunks, terms, walked_namespace, walked_id,
       created_at
     FROM index_builds WHERE store_id = $1 ORDER BY build`,
    [storeId],
  );
  return rows.map(
    ([build, state, settings, space, nextChunk, nextSegment, chunks, terms, namespace, id, createdAt]) => ({
      ...{
        build,
        state,
        settings: readBuildSettings(settings),
        space,
        nextChunk,
        nextSegment,
        chunks,
        terms,
      },
      walked: namespace === null ? null : { namespace, id: id! },
      createdAt,
    }),
  );
}

/** All segments of a build. */
export async function readSegments(tx: Transaction, storeId: string, build: number): Promise<Segment[]> {
  type Row = [number, Segment["state"], number, number, number, number, number];
  const rows = await tx.rows<Row>(
    `SELECT segment, state, first_chunk, end_chunk, chunks, bytes, making_until
     FROM segments WHERE store_id = $1 AND build = $2 ORDER BY segment`,
    [storeId, build],
  );
  return rows.map(([segment, state, firstChunk, endChunk, chunks, bytes, makingUntil]) => ({
    ...{ segment, state, firstChunk, endChunk, chunks, bytes, makingUntil },
  }));
}

/** The numbers of texts' vectors, by hash. */
export async function findVectors(
  tx: Transaction,
  storeId: string,
  space: number,
  hashes: string[],
): Promise<Map<string, number>> {
  const rows = await tx.rows<[number, number]>(
    `SELECT k.number, v.vector FROM unnest($3::text[]) WITH ORDINALITY k(hash, number)
     CROSS JOIN LATERAL (
       SELECT vector FROM vectors f WHERE f.store_id = $1 AND f.hash = k.hash AND f.space + 0 = $2 OFFSET 0) v`,
    [storeId, space, textArray(hashes)],
  );
  return new Map(rows.map(([number, vector]) => [hashes[number - 1]!, vector]));
}

/**
 * Vector numbers fit a double and start at random, so that processes that add vectors at the same time do not wait for
 * each other.
 */
const NUMBERS = 2 ** 52;

/** Adds vectors, except for texts that already have one. Vectors whose random numbers are taken are not added. */
export async function addVectors(
  tx: Transaction,
  storeId: string,
  space: number,
  vectors: NewVector[],
): Promise<void> {
  if (vectors.length === 0) return;
  await tx.rows(
    `INSERT INTO vectors (store_id, space, vector, hash, embedding)
     SELECT $1, $2, $3::bigint + k.number, k.hash,
       ($5::real[])[($6::int * (k.number - 1) + 1):($6::int * k.number)]
     FROM unnest($4::text[]) WITH ORDINALITY k(hash, number)
     ON CONFLICT DO NOTHING`,
    [
      ...[storeId, space, Math.floor(Math.random() * NUMBERS)],
      textArray(vectors.map(({ hash }) => hash)),
      realArray(vectors.map(({ embedding }) => embedding)),
      vectors[0]!.embedding.length,
    ],
  );
}

/** The namespaces, ids and numbers of versions as array parameters. */
export const keyColumns = (versions: RecordVersion[]): string[] => [
  textArray(versions.map(({ namespace }) => namespace)),
  textArray(versions.map(({ id }) => id)),
  numberArray(versions.map(({ version }) => version)),
];
