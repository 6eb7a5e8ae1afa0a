import { settingsOf } from "../indexing/build-settings.ts";
import { type QueryTerm, rank } from "../lexical/bm25.ts";
import { findPostings } from "../lexical/segment.ts";
import type { Build, IndexSnapshot } from "../storage/index-port.ts";
import { queryAnalyzerFor } from "../text/tokens.ts";

/** A chunk that may be an answer. */
export interface Candidate {
  chunk: number;
  score: number;
}

/** The next best candidates; none if there are no more. */
export type Candidates = (count: number) => Candidate[] | Promise<Candidate[]>;

/**
 * Up to so many chunks of the namespaces that are asked for are ranked alone; where there are more, others are left out
 * later.
 */
const SCOPE_CHUNKS = 20_000;
/** Distinct terms of a query that count. */
const QUERY_TERMS_MAX = 200;

/** Ranks chunks by the words of the query. */
export async function rankLexically(
  index: IndexSnapshot,
  build: Build,
  query: string,
  namespaces: string[] | null,
): Promise<Candidates> {
  const analyze = await queryAnalyzerFor(settingsOf(build).text.language);
  const weights = new Map<string, number>();
  for (const term of analyze(query)) {
    if (weights.size < QUERY_TERMS_MAX || weights.has(term)) weights.set(term, (weights.get(term) ?? 0) + 1);
  }
  const segments = new Map((await index.liveSegments(build.build)).map((one) => [one.segment, one]));
  const found = Map.groupBy(
    await index.blocksOf(build.build, [...segments.keys()], [...weights.keys()]),
    ({ term }) => term,
  );
  const terms = [...weights].map(([term, weight]): QueryTerm => {
    const lists = (found.get(term) ?? []).flatMap(({ segment, data }) => {
      const postings = findPostings(data, term);
      return postings ? [{ postings, firstChunk: segments.get(segment)!.firstChunk }] : [];
    });
    return { weight, lists };
  });
  const few = namespaces && (await index.countChunks(build.build, namespaces, SCOPE_CHUNKS)) < SCOPE_CHUNKS;
  const allowed = few ? new Set(await index.chunksOf(build.build, namespaces)) : undefined;
  const collection = { chunks: build.chunks, averageLength: build.terms / build.chunks };
  const ranking = rank(collection, terms, allowed);
  return (count) => ranking.take(count);
}

/**
 * Ranks chunks by how near their vectors are to the query's.
 * @param wanted how many records are wanted
 */
export function rankSemantically(
  index: IndexSnapshot,
  build: Build,
  vector: Float32Array,
  namespaces: string[] | null,
  wanted: number,
): Candidates {
  const given = new Set<number>();
  let limit = 2 * wanted;
  let isLast = false;
  return async (count) => {
    if (isLast) return [];
    // There is no going on where a look for the nearest ended: each look asks for more, and begins anew.
    limit = Math.max(limit, given.size + count);
    const near = await index.nearest(build, vector, namespaces, limit);
    isLast = near.length < limit;
    // It may find what the look before overlooked.
    const next = near.filter(({ chunk }) => !given.has(chunk));
    for (const { chunk } of next) given.add(chunk);
    limit *= 8;
    return next.map(({ chunk, similarity }) => ({ chunk, score: similarity }));
  };
}
