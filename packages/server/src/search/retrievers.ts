import { type QueryTerm, rank } from "../lexical/bm25.ts";
import { findPostings } from "../lexical/segment.ts";
import type { Build, Candidate, IndexSnapshot } from "../storage/index-port.ts";
import { queryAnalyzerFor } from "../text/tokens.ts";

/** Gives the next best candidates; none if there are no more. */
export type Retriever = (count: number) => Candidate[] | Promise<Candidate[]>;

/**
 * Up to so many chunks of the namespaces that are asked for are ranked alone; where there are more, others are left out
 * later.
 */
const SCOPE_CHUNKS = 20_000;
/** Distinct terms of a query that count. */
const QUERY_TERMS_MAX = 200;

/** Retrieves chunks by the words of the query. */
export async function lexicalRetriever(
  index: IndexSnapshot,
  build: Build,
  query: string,
  namespaces: string[] | null,
): Promise<Retriever> {
  const analyze = await queryAnalyzerFor(build.settings.text.language);
  const weights = new Map<string, number>();
  for (const term of analyze(query)) {
    if (weights.size < QUERY_TERMS_MAX || weights.has(term)) weights.set(term, (weights.get(term) ?? 0) + 1);
  }
  const segments = new Map((await index.liveSegments(build.build)).map((row) => [row.segment, row]));
  const blocks = Map.groupBy(
    await index.blocksOf(build.build, [...segments.keys()], [...weights.keys()]),
    ({ term }) => term,
  );
  const terms = [...weights].map(([term, weight]): QueryTerm => {
    const lists = (blocks.get(term) ?? []).flatMap(({ segment, data }) => {
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
 * Retrieves chunks by how near their vectors are to the query's.
 * @param records how many records are to be found
 */
export function semanticRetriever(
  index: IndexSnapshot,
  build: Build,
  vector: Float32Array,
  namespaces: string[] | null,
  records: number,
): Retriever {
  const retrieved = new Set<number>();
  let limit = 2 * records;
  let isLast = false;
  return async (count) => {
    if (isLast) return [];
    // There is no going on where a look for the nearest ended: each look asks for more, and begins anew.
    limit = Math.max(limit, retrieved.size + count);
    const near = await index.nearest(build, vector, namespaces, limit);
    isLast = near.length < limit;
    // It may find what the look before overlooked.
    const next = near.filter(({ chunk }) => !retrieved.has(chunk));
    for (const { chunk } of next) retrieved.add(chunk);
    limit *= 8;
    return next;
  };
}
