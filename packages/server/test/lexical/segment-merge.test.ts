import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type MergeInput, mergeBlocks } from "../../src/lexical/merge-segments.ts";
import { PostingsWriter } from "../../src/lexical/postings.ts";
import { BlockWriter, buildSegment, type SegmentBlock } from "../../src/lexical/segment.ts";
import { LONG } from "../long.ts";
import { chunkTerms, compareBytes, decode, find, indexOf, naiveIndex } from "./naive-index.ts";

const RUNS = LONG ? 10_000 : 500;

async function merged(inputs: MergeInput[], isLive = (_: number) => true): Promise<SegmentBlock[]> {
  const blocks: SegmentBlock[] = [];
  for await (const block of mergeBlocks(inputs, isLive)) blocks.push(block);
  return blocks;
}

/** A segment of chunks at any positions, like a merged one. */
function segmentAt(chunks: Map<number, string[]>, firstChunk: number): SegmentBlock[] {
  const writer = new BlockWriter();
  const blocks: (SegmentBlock | undefined)[] = [];
  for (const [term, postings] of [...naiveIndex(chunks)].sort(([a], [b]) => compareBytes(a, b))) {
    const encoded = new PostingsWriter();
    for (const { chunk, frequency, length } of postings) encoded.add(chunk - firstChunk, frequency, length);
    const bytes = Buffer.from(term);
    blocks.push(writer.add(bytes, 0, bytes.length, encoded));
  }
  return [...blocks, writer.finish()].filter((block) => block !== undefined);
}

/** Chunks, each with its segment. */
const spread = fc.array(
  fc.record({
    terms: chunkTerms,
    segment: fc.nat(4),
    gap: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 1, max: 2 ** 40 })),
    isLive: fc.boolean(),
  }),
  { minLength: 1, maxLength: 30 },
);

describe("a merge of segments", () => {
  test("gives the segment of their live chunks, however their ranges interleave", async () => {
    await fc.assert(
      fc.asyncProperty(spread, async (placed) => {
        let number = 0;
        const chunks = placed.map((chunk) => {
          number += chunk.gap;
          return { ...chunk, number };
        });
        const inputs = [0, 1, 2, 3, 4].flatMap((segment) => {
          const own = chunks.filter((chunk) => chunk.segment === segment);
          if (own.length === 0) return [];
          const firstChunk = own[0]!.number;
          const blocks = segmentAt(new Map(own.map(({ number, terms }) => [number, terms])), firstChunk);
          return [{ firstChunk, blocks }];
        });
        const live = new Map(
          chunks.filter(({ isLive }) => isLive).map(({ number, terms }) => [number, terms]),
        );
        const blocks = await merged(inputs, (chunk) => live.has(chunk));

        const firstChunk = chunks[0]!.number;
        assert.deepEqual(blocks, segmentAt(live, firstChunk));
        const everyTerm = new Set(chunks.flatMap(({ terms }) => terms));
        assert.deepEqual(indexOf(blocks, everyTerm, firstChunk), naiveIndex(live));
      }),
      { numRuns: RUNS },
    );
  });

  test("of batches gives the segment of all their chunks", async () => {
    const chunks = Array.from({ length: 300 }, (_, i) => [`word${i % 70}`, `word${i}`, "common"]);
    const inputs = [0, 100, 200].map((firstChunk) => ({
      firstChunk,
      blocks: buildSegment(chunks.slice(firstChunk, firstChunk + 100)),
    }));
    assert.deepEqual(await merged(inputs.toReversed()), buildSegment(chunks));
  });

  test("of merged segments gives the same in every order", async () => {
    const batches = ["a b", "b c", "c a a", "d"].map((text) => buildSegment([text.split(" ")]));
    const [a, b, c, d] = batches.map((blocks, firstChunk) => ({ firstChunk, blocks }));
    const ac = { firstChunk: 0, blocks: await merged([a!, c!]) };
    const bd = { firstChunk: 1, blocks: await merged([d!, b!]) };
    assert.deepEqual(await merged([bd, ac]), await merged([a!, b!, c!, d!]));
  });

  test("drops terms whose chunks are all dead, and gives no blocks if all chunks are dead", async () => {
    const inputs = [{ firstChunk: 7, blocks: buildSegment([["a", "b"], ["b"]]) }];
    const blocks = await merged(inputs, (chunk) => chunk !== 7);
    assert.equal(find(blocks, "a"), undefined);
    assert.deepEqual(decode(find(blocks, "b")!, 7), [{ chunk: 8, frequency: 1, length: 1 }]);
    assert.deepEqual(await merged(inputs, () => false), []);
  });

  test("of no chunks gives no blocks", async () => {
    assert.deepEqual(await merged([]), []);
    assert.deepEqual(await merged([{ firstChunk: 3, blocks: [] }]), []);
  });

  test("refuses a chunk that two segments have", async () => {
    const blocks = buildSegment([["a"]]);
    await assert.rejects(merged([1, 1].map((firstChunk) => ({ firstChunk, blocks }))), RangeError);
  });
});

describe("a merge in progress", () => {
  /** A segment that counts its blocks that were read, and notes whether it was closed. */
  function watched(blocks: SegmentBlock[]) {
    const seen = { read: 0, closed: false };
    async function* read() {
      try {
        for (const block of blocks) {
          seen.read++;
          yield block;
        }
      } finally {
        seen.closed = true;
      }
    }
    return { seen, blocks: read() };
  }

  const chunks = Array.from({ length: 400 }, (_, i) =>
    Array.from({ length: 30 }, (_, j) => `word${(i * 30 + j) % 5000}`),
  );
  const segments = [0, 200].map((firstChunk) => ({
    firstChunk,
    blocks: buildSegment(chunks.slice(firstChunk, firstChunk + 200)),
  }));

  test("reads no further than the requested block needs", async () => {
    const inputs = segments.map(({ firstChunk, blocks }) => ({ firstChunk, ...watched(blocks) }));
    assert.ok(segments.every(({ blocks }) => blocks.length > 5));
    let read: number[] | undefined;
    for await (const { firstTerm } of mergeBlocks(inputs, () => true)) {
      // The block before was yielded when this one's first term did not fit into it.
      const needed = segments.map(
        ({ blocks }) => blocks.filter((block) => block.firstTerm <= firstTerm).length,
      );
      for (const [i, count] of read?.entries() ?? [])
        assert.ok(
          count <= needed[i]! + 1,
          `${count} blocks were read for ${firstTerm}, ${needed[i]} begin before it`,
        );
      read = inputs.map(({ seen }) => seen.read);
    }
    assert.ok(inputs.every(({ seen }) => seen.closed));
  });

  test("closes its segments when the reader stops early", async () => {
    const inputs = segments.map(({ firstChunk, blocks }) => ({ firstChunk, ...watched(blocks) }));
    for await (const _ of mergeBlocks(inputs, () => true)) break;
    for (const [i, { seen }] of inputs.entries()) {
      assert.ok(seen.closed);
      assert.ok(seen.read < segments[i]!.blocks.length);
    }
  });
});
