import { readBuildSettings } from "../build-settings.ts";
import type { Build, Segment } from "../index-port.ts";
import type { Connection } from "./connection.ts";

/** A row as `node:sqlite` returns it; each column is read as the type of its table's definition. */
type Columns = Record<string, string & number>;

/** All builds of a store, oldest first. */
export function readBuilds(connection: Connection, storeId: string): Build[] {
  const rows = connection
    .statement("SELECT * FROM index_builds WHERE store_id = ?1 ORDER BY build")
    .all(storeId) as Columns[];
  return rows.map((row) => ({
    build: row.build!,
    state: row.state as unknown as Build["state"],
    settings: readBuildSettings(row.settings!),
    space: row.space ?? null,
    nextChunk: row.next_chunk!,
    nextSegment: row.next_segment!,
    chunks: row.chunks!,
    terms: row.terms!,
    walked: row.walked_namespace === null ? null : { namespace: row.walked_namespace!, id: row.walked_id! },
    createdAt: row.created_at!,
  }));
}

/** All segments of a build. */
export function readSegments(connection: Connection, storeId: string, build: number): Segment[] {
  const rows = connection
    .statement("SELECT * FROM segments WHERE store_id = ?1 AND build = ?2 ORDER BY segment")
    .all(storeId, build) as Columns[];
  return rows.map((row) => ({
    segment: row.segment!,
    state: row.state as unknown as Segment["state"],
    firstChunk: row.first_chunk!,
    endChunk: row.end_chunk!,
    chunks: row.chunks!,
    bytes: row.bytes!,
    makingUntil: row.making_until!,
  }));
}

/** The numbers of texts' vectors, by hash. */
export function findVectors(
  connection: Connection,
  storeId: string,
  space: number,
  hashes: string[],
): Map<string, number> {
  const rows = connection
    .statement(
      `SELECT v.hash, v.vector FROM json_each(?3) j CROSS JOIN vectors v
         ON v.store_id = ?1 AND v.space = ?2 AND v.hash = j.value`,
    )
    .all(storeId, space, JSON.stringify(hashes)) as { hash: string; vector: number }[];
  return new Map(rows.map(({ hash, vector }) => [hash, vector]));
}
