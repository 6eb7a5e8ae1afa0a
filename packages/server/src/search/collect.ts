import { parseJson } from "@tidemark/protocol/parse-json";
import type { Build, IndexSnapshot, RecordKey } from "../storage/index-port.ts";
import type { Filter } from "./filter.ts";
import type { Candidate, Candidates } from "./legs.ts";

/** A record that a leg found. */
export interface Hit extends RecordKey {
  /** That of its best passage. */
  score: number;
  /** Those that matched, best first. */
  passages: { text: string; score: number }[];
  writtenAt: number;
  /** Canonical JSON; null unless it was needed. */
  content: string | null;
}

export interface Wanted {
  namespaces: string[] | null;
  filter: Filter | null;
  withData: boolean;
  /** Records. */
  wanted: number;
}

/** Candidates that are looked up at once: few at first, as most are answers, and more where a filter keeps few. */
const FIRST_PAGE = 100;
const PAGE_MAX = 4000;

/**
 * The records of the best candidates: those that the ledger shows and the filter keeps. So a filter that keeps little
 * costs more looks, and no answers.
 */
export async function collectRecords(
  index: IndexSnapshot,
  build: Build,
  candidates: Candidates,
  { namespaces, filter, withData, wanted }: Wanted,
): Promise<Hit[]> {
  const hits = new Map<string, Hit>();
  const withContent = withData || filter !== null;
  for (let page = Math.max(FIRST_PAGE, 2 * wanted); hits.size < wanted; page = Math.min(2 * page, PAGE_MAX)) {
    const some: Candidate[] = await candidates(page);
    if (some.length === 0) break;
    const chunks = some.map(({ chunk }) => chunk);
    const visible = await index.visible(build.build, chunks, namespaces, withContent);
    const found = new Map(visible.map((row) => [row.chunk, row]));
    const kept = new Map<string, boolean>();
    for (const { chunk, score } of some) {
      const row = found.get(chunk);
      if (!row) continue;
      const { namespace, id, text, writtenAt, content } = row;
      const key = JSON.stringify([namespace, id]);
      const hit = hits.get(key);
      if (hit) {
        hit.passages.push({ text, score });
        continue;
      }
      if (filter && !kept.has(key)) kept.set(key, filter(dataOf(content!)));
      if (filter && !kept.get(key)) continue;
      hits.set(key, { namespace, id, score, passages: [{ text, score }], writtenAt, content });
    }
  }
  return [...hits.values()].slice(0, wanted);
}

const dataOf = (content: string) => (parseJson(content) as { data: never }).data;
