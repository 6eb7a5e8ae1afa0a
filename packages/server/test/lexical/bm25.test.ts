import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type Collection, type QueryTerm, type Ranking, rank } from "../../src/lexical/bm25.ts";
import { PostingsWriter } from "../../src/lexical/postings.ts";
import { buildSegment, findPostings } from "../../src/lexical/segment.ts";
import { LONG } from "../long.ts";

const RUNS = LONG ? 20_000 : 1000;

interface Chunk {
  number: number;
  /** The segment that has it. */
  segment: number;
  length: number;
  frequencies: Map<string, number>;
}

const averageLength = (chunks: Chunk[]) =>
  chunks.reduce((sum, { length }) => sum + length, 0) / Math.max(chunks.length, 1);

/** Textbook BM25 for every chunk of the collection. */
function naiveScores(chunks: Chunk[], query: Map<string, number>) {
  const average = averageLength(chunks);
  return chunks.map(({ number, length, frequencies }) => {
    let score = 0;
    for (const [term, weight] of query) {
      const f = frequencies.get(term) ?? 0;
      const n = chunks.filter((chunk) => chunk.frequencies.has(term)).length;
      const idf = Math.log(1 + (chunks.length - n + 0.5) / (n + 0.5));
      score += weight * idf * (f / (f + 1.2 * (1 - 0.75 + 0.75 * (length / average))));
    }
    return { chunk: number, score };
  });
}

function listsOf(chunks: Chunk[], term: string): QueryTerm["lists"] {
  const segments = Map.groupBy(chunks, ({ segment }) => segment);
  return [...segments.values()].flatMap((own) => {
    const writer = new PostingsWriter();
    const firstChunk = own[0]!.number;
    for (const { number, length, frequencies } of own) {
      const frequency = frequencies.get(term);
      if (frequency) writer.add(number - firstChunk, frequency, length);
    }
    if (writer.count === 0) return [];
    const bytes = writer.encoded.bytes.slice(0, writer.encoded.length);
    return [{ postings: { count: writer.count, bytes }, firstChunk }];
  });
}

const collectionOf = (chunks: Chunk[]): Collection => ({
  chunks: chunks.length,
  averageLength: averageLength(chunks),
});

const queryTerms = (chunks: Chunk[], query: Map<string, number>): QueryTerm[] =>
  [...query].map(([term, weight]) => ({ weight, lists: listsOf(chunks, term) }));

const all = (ranking: Ranking) => ranking.take(Number.POSITIVE_INFINITY);

const TERMS = ["a", "b", "c", "d"];
const chunks = fc
  .array(
    fc.record({
      // Numbers in the same window of the scan, in the next one, and far away.
      gap: fc.oneof(
        { weight: 6, arbitrary: fc.integer({ min: 1, max: 3 }) },
        { weight: 2, arbitrary: fc.integer({ min: 1000, max: 3000 }) },
        { weight: 1, arbitrary: fc.integer({ min: 1, max: 2 ** 40 }) },
      ),
      segment: fc.nat(3),
      others: fc.nat(4),
      frequencies: fc.dictionary(fc.constantFrom(...TERMS), fc.integer({ min: 1, max: 3 }), {
        noNullPrototype: true,
      }),
    }),
    { minLength: 1, maxLength: 60 },
  )
  .map((steps) => {
    let number = 0;
    return steps.map(({ gap, segment, others, frequencies }): Chunk => {
      number += gap;
      const counts = new Map(Object.entries(frequencies));
      const length = others + [...counts.values()].reduce((sum, count) => sum + count, 0);
      return { number, segment, length, frequencies: counts };
    });
  });
const query = fc
  .uniqueArray(fc.tuple(fc.constantFrom(...TERMS), fc.integer({ min: 1, max: 3 })), {
    selector: ([term]) => term,
    maxLength: 4,
  })
  .map((entries) => new Map(entries));

describe("ranking", () => {
  test("finds the chunks with a term of the query, with the scores of a naive BM25", () => {
    fc.assert(
      fc.property(chunks, query, (chunks, query) => {
        const ranked = all(rank(collectionOf(chunks), queryTerms(chunks, query)));
        const expected = naiveScores(chunks, query).filter(({ score }) => score > 0);
        const scores = new Map(ranked.map(({ chunk, score }) => [chunk, score]));
        assert.equal(ranked.length, expected.length);
        for (const { chunk, score } of expected)
          assert.ok(
            Math.abs(scores.get(chunk)! - score) < 1e-9,
            `chunk ${chunk}: ${scores.get(chunk)}, ${score}`,
          );
      }),
      { numRuns: RUNS },
    );
  });

  test("gives the same in pages as in one call, by score and then by number", () => {
    fc.assert(
      fc.property(chunks, query, fc.array(fc.nat(15), { maxLength: 8 }), (chunks, query, pages) => {
        const terms = queryTerms(chunks, query);
        const whole = all(rank(collectionOf(chunks), terms));
        const sorted = whole.toSorted((a, b) => b.score - a.score || a.chunk - b.chunk);
        assert.deepEqual(whole, sorted);

        const ranking = rank(collectionOf(chunks), terms);
        const paged = pages.flatMap((size) => {
          const page = ranking.take(size);
          assert.ok(page.length <= size);
          return page;
        });
        assert.deepEqual([...paged, ...all(ranking)], whole);
        assert.deepEqual(all(ranking), []);
      }),
      { numRuns: RUNS },
    );
  });

  test("of allowed chunks is the ranking of all without the others, with the same scores", () => {
    fc.assert(
      fc.property(chunks, query, fc.infiniteStream(fc.boolean()), (chunks, query, choice) => {
        const near = chunks.filter(({ number }) => number < 100_000);
        fc.pre(near.length > 0);
        const terms = queryTerms(near, query);
        const chosen = new Set(near.map(({ number }) => number).filter(() => choice.next().value));
        const bytes = new Uint8Array(Math.max(...chosen, -1) + 1);
        for (const chunk of chosen) bytes[chunk] = 1;
        const expected = all(rank(collectionOf(near), terms)).filter(({ chunk }) => chosen.has(chunk));
        assert.deepEqual(all(rank(collectionOf(near), terms, chosen)), expected);
        assert.deepEqual(all(rank(collectionOf(near), terms, bytes)), expected);
      }),
      { numRuns: RUNS },
    );
  });

  test("is the same to the last bit, however the chunks are spread over segments", () => {
    fc.assert(
      fc.property(chunks, query, (chunks, query) => {
        const together = chunks.map((chunk) => ({ ...chunk, segment: 0 }));
        assert.deepEqual(
          all(rank(collectionOf(chunks), queryTerms(chunks, query))),
          all(rank(collectionOf(together), queryTerms(together, query))),
        );
      }),
      { numRuns: RUNS },
    );
  });

  test("reads the postings of a built segment", () => {
    const [block] = buildSegment([["sea", "level"], ["sea", "sea", "shore"], ["hill"]]);
    const lists = [{ postings: findPostings(block!.data, "sea")!, firstChunk: 40 }];
    const ranked = all(rank({ chunks: 3, averageLength: 2 }, [{ weight: 1, lists }]));
    const idf = Math.log(1 + 1.5 / 2.5);
    assert.deepEqual(
      ranked.map(({ chunk, score }) => [chunk, score.toFixed(12)]),
      [
        [41, ((idf * 2) / (2 + 1.2 * (0.25 + (0.75 * 3) / 2))).toFixed(12)],
        [40, (idf / (1 + 1.2)).toFixed(12)],
      ],
    );
  });

  test("has finite scores above 0 if more postings are counted than chunks are live", () => {
    const [block] = buildSegment([["a"], ["a"], ["a", "b"]]);
    const lists = [{ postings: findPostings(block!.data, "a")!, firstChunk: 0 }];
    for (const collection of [
      { chunks: 1, averageLength: 1 },
      { chunks: 0, averageLength: 0 },
    ]) {
      const ranked = all(rank(collection, [{ weight: 1, lists }]));
      assert.equal(ranked.length, 3);
      assert.ok(ranked.every(({ score }) => score > 0 && Number.isFinite(score)));
    }
  });

  test("without terms finds nothing", () => {
    assert.deepEqual(all(rank({ chunks: 5, averageLength: 3 }, [])), []);
    assert.deepEqual(all(rank({ chunks: 5, averageLength: 3 }, [{ weight: 1, lists: [] }])), []);
  });
});
