import { type QueryTerm, rank } from "../lexical/bm25.ts";
import { findPostings } from "../lexical/segment.ts";
import type { Build, Candidate, IndexSnapshot } from "../storage/index-port.ts";
import { queryAnalyzerFor } from "../text/tokens.ts";

/** Returns the next best candidates; none if there are no more. */
export type Retriever = (count: number) => Candidate[] | Promise<Candidate[]>;

/**
 * If the requested namespaces have fewer chunks than this, only these chunks are ranked. Otherwise all chunks are
 * ranked, and those of other namespaces are left out later.
 */
const SCOPE_CHUNKS = 20_000;
/** Distinct terms of a query that are searched; further ones are ignored. */
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
  const isSmall =
    namespaces && (await index.countChunks(build.build, namespaces, SCOPE_CHUNKS)) < SCOPE_CHUNKS;
  const allowed = isSmall ? new Set(await index.chunksOf(build.build, namespaces)) : undefined;
  const collection = { chunks: build.chunks, averageLength: build.terms / build.chunks };
  const ranking = rank(collection, terms, allowed);
  return (count) => ranking.take(count);
}

/**
 * Retrieves chunks by how near their vectors are to the query's.
 * @param records the number of records that the search needs
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
    // A search for the nearest vectors cannot be continued: each one starts again and asks for more.
    limit = Math.max(limit, retrieved.size + count);
    const near = await index.nearest(build, vector, namespaces, limit);
    isLast = near.length < limit;
    // An approximate search may find chunks that the one before overlooked.
    const next = near.filter(({ chunk }) => !retrieved.has(chunk));
    for (const { chunk } of next) retrieved.add(chunk);
    limit *= 8;
    return next;
  };
}
