import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { POSITIONS_MAX, PostingsWriter } from "../../src/lexical/postings.ts";
import { BLOCK_BYTES, buildSegment, EntryReader, findPostings } from "../../src/lexical/segment.ts";
import { LONG } from "../long.ts";
import { chunkTerms, compareBytes, decode, find, indexOf, naiveIndex, term } from "./naive-index.ts";

const RUNS = LONG ? 10_000 : 500;

const numbered = (chunks: string[][]) => new Map(chunks.entries());

/** Terms of fixed width, so that they sort by their numbers. */
const words = (count: number) => Array.from({ length: count }, (_, i) => `word${String(i).padStart(6, "0")}`);

describe("a segment", () => {
  test("has the postings of a naive index, and none of other terms", () => {
    fc.assert(
      fc.property(fc.array(chunkTerms, { maxLength: 20 }), fc.array(term), (chunks, others) => {
        const expected = naiveIndex(numbered(chunks));
        const terms = new Set([...expected.keys(), ...others]);
        assert.deepEqual(indexOf(buildSegment(chunks), terms), new Map(expected));
      }),
      { numRuns: RUNS },
    );
  });

  test("counts the postings of a term without decoding them", () => {
    const blocks = buildSegment([["a", "b", "a"], ["b"], [], ["b"]]);
    assert.equal(find(blocks, "a")?.count, 1);
    assert.equal(find(blocks, "b")?.count, 3);
  });

  test("has its blocks in the order of the terms' bytes, with no term twice", () => {
    fc.assert(
      fc.property(fc.array(chunkTerms, { maxLength: 40 }), (chunks) => {
        const firsts = buildSegment(chunks).map(({ firstTerm }) => firstTerm);
        assert.deepEqual(firsts, [...new Set(firsts)].sort(compareBytes));
      }),
      { numRuns: RUNS },
    );
  });

  test("sorts characters beyond the basic plane after all others, as UTF-8 does and UTF-16 does not", () => {
    const long = "x".repeat(BLOCK_BYTES);
    const terms = [`\u{1f600}${long}`, `\uff5e${long}`, `a${long}`];
    const blocks = buildSegment([terms]);
    assert.deepEqual(
      blocks.map(({ firstTerm }) => firstTerm[0]),
      ["a", "\uff5e", "\u{1f600}"[0]],
    );
    for (const term of terms) assert.equal(find(blocks, term)?.count, 1);
  });

  test("sorts many terms with the same first bytes", () => {
    const terms = words(5000);
    const shuffled = terms.toSorted((a, b) =>
      compareBytes([...a].reverse().join(""), [...b].reverse().join("")),
    );
    const blocks = buildSegment([shuffled]);
    assert.ok(blocks.length > 5);
    for (const term of terms) assert.equal(find(blocks, term)?.count, 1, term);
    const firsts = blocks.map(({ firstTerm }) => firstTerm);
    assert.deepEqual(firsts, firsts.toSorted(compareBytes));
  });

  test("keeps a byte order mark at the start of a term", () => {
    const [block] = buildSegment([["\ufeffa"]]);
    assert.equal(block?.firstTerm, "\ufeffa");
  });

  test("has no blocks if there are no terms", () => {
    assert.deepEqual(buildSegment([]), []);
    assert.deepEqual(buildSegment([[], []]), []);
  });

  test("has blocks of at most the set size, except for single larger entries", () => {
    const common = Array.from({ length: 3000 }, (_, i) => ["common", `word${i}`]);
    const sizes = buildSegment(common).map(({ firstTerm, data }) => ({ firstTerm, size: data.length }));
    const large = sizes.filter(({ size }) => size > BLOCK_BYTES);
    assert.deepEqual(
      large.map(({ firstTerm }) => firstTerm),
      ["common"],
    );
    const small = sizes.filter(({ size }) => size <= BLOCK_BYTES / 2);
    assert.ok(small.length <= 1, `${small.length} of ${sizes.length} blocks are half empty`);
  });

  test("finds terms next to an entry of 100,000 postings", () => {
    const chunks = Array.from({ length: 100_000 }, (_, i) => (i % 1000 === 0 ? ["a", "m", "m", "z"] : ["m"]));
    const blocks = buildSegment(chunks);
    assert.equal(find(blocks, "a")?.count, 100);
    assert.equal(find(blocks, "z")?.count, 100);
    const postings = find(blocks, "m")!;
    assert.equal(postings.count, 100_000);
    assert.deepEqual(
      decode(postings),
      chunks.map((terms, chunk) => ({ chunk, frequency: terms.length > 1 ? 2 : 1, length: terms.length })),
    );
  });

  test("does not copy the postings that are read", () => {
    const [block] = buildSegment([["a"]]);
    assert.equal(findPostings(block!.data, "a")!.bytes.buffer, block!.data.buffer);
  });

  test("is read from a driver's Buffer inside a larger one", () => {
    const [block] = buildSegment([["a", "b"], ["b"]]);
    const padded = Buffer.concat([Buffer.from("before"), block!.data, Buffer.from("after")]);
    const postings = findPostings(padded.subarray(6, 6 + block!.data.length), "b");
    assert.deepEqual(decode(postings!), [
      { chunk: 0, frequency: 1, length: 2 },
      { chunk: 1, frequency: 1, length: 1 },
    ]);
  });

  test("refuses empty terms, and halves of surrogate pairs, which UTF-8 cannot represent", () => {
    assert.throws(() => buildSegment([["a", ""]]), RangeError);
    assert.throws(() => buildSegment([["a", "b\ud83d"]]), RangeError);
  });
});

describe("damaged bytes", () => {
  test("of a block with an incomplete entry cause an error", () => {
    const [block] = buildSegment([["aaa", "bbb", "ccc"]]);
    for (const lost of [1, 2, 3, 4]) {
      const reader = new EntryReader(block!.data.subarray(0, -lost));
      assert.throws(() => {
        while (reader.next());
      }, /damaged/);
    }
  });

  test("of any kind end the search of a block or cause an error", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), term, (bytes, term) => {
        try {
          const postings = findPostings(bytes, term);
          if (postings) assert.ok(decode(postings).length <= bytes.length);
        } catch (error) {
          assert.match(String(error), /damaged/);
        }
      }),
      { numRuns: RUNS },
    );
  });
});

describe("postings", () => {
  const posting = fc.record({
    gap: fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 2 ** 45 })),
    frequency: fc.oneof(fc.constant(1), fc.integer({ min: 1, max: 2 ** 27 })),
    more: fc.oneof(fc.nat(300), fc.nat(2 ** 27)),
  });

  test("are read as they were written, whatever their position, frequency and length", () => {
    fc.assert(
      fc.property(fc.array(posting, { maxLength: 60 }), (steps) => {
        const writer = new PostingsWriter();
        const written: unknown[] = [];
        let chunk = -1;
        for (const { gap, frequency, more } of steps) {
          chunk += gap;
          const length = Math.min(frequency + more, 2 ** 28 - 1);
          writer.add(chunk, frequency, length);
          written.push({ chunk, frequency, length });
        }
        const { bytes, length } = writer.encoded;
        assert.deepEqual(decode({ count: writer.count, bytes: bytes.subarray(0, length) }), written);
      }),
      { numRuns: RUNS },
    );
  });

  test("are refused out of order, above the highest position, or if more frequent than their chunk is long", () => {
    const writer = new PostingsWriter();
    writer.add(5, 1, 1);
    assert.throws(() => writer.add(5, 1, 1), RangeError);
    assert.throws(() => writer.add(4, 1, 1), RangeError);
    assert.throws(() => writer.add(POSITIONS_MAX, 1, 1), RangeError);
    assert.throws(() => writer.add(6, 2, 1), RangeError);
    assert.throws(() => writer.add(6, 0, 1), RangeError);
    writer.add(POSITIONS_MAX - 1, 1, 1);
    assert.equal(writer.count, 2);
  });
});
