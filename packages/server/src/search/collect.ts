import { parseJson } from "@tidemark/protocol/parse-json";
import type { SearchChunk } from "@tidemark/protocol/search";
import type { Build, Candidate, IndexSnapshot } from "../storage/index-port.ts";
import { type RecordKey, recordKey } from "../storage/record-key.ts";
import type { Filter } from "./filter.ts";
import type { Retriever } from "./retrievers.ts";

/** A record that a retriever found. */
export interface Hit extends RecordKey {
  /** The score of its best chunk. */
  score: number;
  /** The matching chunks, best first. */
  chunks: SearchChunk[];
  writtenAt: number;
  /** Canonical JSON; null if neither the filter nor the answer needs it. */
  content: string | null;
}

/** Which records to collect. */
export interface Collection {
  namespaces: string[] | null;
  filter: Filter | null;
  withData: boolean;
  /** The greatest number of records. */
  limit: number;
}

/** Candidates of one lookup: few at first, because most become results, and more when a filter rejects many. */
const FIRST_PAGE = 100;
const PAGE_MAX = 4000;

/**
 * The records of the best candidates that are visible and match the filter. A selective filter costs more lookups, but
 * no results.
 */
export async function collectRecords(
  index: IndexSnapshot,
  build: Build,
  retrieve: Retriever,
  { namespaces, filter, withData, limit }: Collection,
): Promise<Hit[]> {
  const hits = new Map<string, Hit>();
  const withContent = withData || filter !== null;
  for (let page = Math.max(FIRST_PAGE, 2 * limit); hits.size < limit; page = Math.min(2 * page, PAGE_MAX)) {
    const candidates: Candidate[] = await retrieve(page);
    if (candidates.length === 0) break;
    const numbers = candidates.map(({ chunk }) => chunk);
    const visible = await index.visible(build.build, numbers, namespaces, withContent);
    const shown = new Map(visible.map((chunk) => [chunk.chunk, chunk]));
    const isMatch = new Map<string, boolean>();
    for (const { chunk: number, score } of candidates) {
      const chunk = shown.get(number);
      if (!chunk) continue;
      const { namespace, id, text, writtenAt, content } = chunk;
      const key = recordKey(chunk);
      const hit = hits.get(key);
      if (hit) {
        hit.chunks.push({ text, score });
        continue;
      }
      if (filter && !isMatch.has(key)) isMatch.set(key, filter(dataOf(content!)));
      if (filter && !isMatch.get(key)) continue;
      hits.set(key, { namespace, id, score, chunks: [{ text, score }], writtenAt, content });
    }
  }
  return [...hits.values()].slice(0, limit);
}

const dataOf = (content: string) => (parseJson(content) as { data: never }).data;
