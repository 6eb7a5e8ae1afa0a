import fc from "fast-check";
import { type EncodedPostings, PostingsCursor } from "../../src/lexical/postings.ts";
import { findPostings, type SegmentBlock } from "../../src/lexical/segment.ts";

export interface Posting {
  chunk: number;
  frequency: number;
  length: number;
}

/** The postings of each term, computed in the simplest way. */
export function naiveIndex(chunks: Map<number, string[]>): Map<string, Posting[]> {
  const index = new Map<string, Posting[]>();
  for (const [chunk, terms] of [...chunks].sort(([a], [b]) => a - b))
    for (const term of new Set(terms)) {
      const frequency = terms.filter((candidate) => candidate === term).length;
      const postings = index.get(term) ?? [];
      index.set(term, [...postings, { chunk, frequency, length: terms.length }]);
    }
  return index;
}

export function decode({ bytes }: EncodedPostings, firstChunk = 0): Posting[] {
  const cursor = new PostingsCursor();
  cursor.reset(bytes, 0, bytes.length);
  const postings: Posting[] = [];
  while (cursor.advance()) {
    const { position, frequency, length } = cursor;
    postings.push({ chunk: firstChunk + position, frequency, length });
  }
  return postings;
}

export const compareBytes = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b));

/** The postings of a term in a segment; finds the block like a database does. */
export function find(blocks: SegmentBlock[], term: string): EncodedPostings | undefined {
  const block = blocks.findLast(({ firstTerm }) => compareBytes(firstTerm, term) <= 0);
  return block && findPostings(block.data, term);
}

/** The postings of these terms in a segment. */
export function indexOf(blocks: SegmentBlock[], terms: Iterable<string>, firstChunk = 0) {
  const index = new Map<string, Posting[]>();
  for (const term of terms) {
    const postings = find(blocks, term);
    if (postings) index.set(term, decode(postings, firstChunk));
  }
  return index;
}

/** Terms that often repeat or share a prefix, with characters of one to four bytes; some are longer than a block. */
export const term = fc.oneof(
  { weight: 8, arbitrary: fc.string({ unit: fc.constantFrom("a", "b", "é"), minLength: 1, maxLength: 3 }) },
  {
    weight: 4,
    arbitrary: fc.string({
      unit: fc.constantFrom("a", "\u{ff5e}", "\u{10000}", "\u{1f600}", "\ufeff"),
      minLength: 1,
      maxLength: 4,
    }),
  },
  { weight: 2, arbitrary: fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }) },
  { weight: 1, arbitrary: fc.constantFrom("x".repeat(5000), `${"x".repeat(5000)}y`, "日".repeat(1500)) },
);

export const chunkTerms = fc.array(term, { maxLength: 12 });
