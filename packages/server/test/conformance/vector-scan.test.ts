import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { BitScan, bitsOf, bytesOfBits, topOf } from "../../src/storage/sqlite/vector-scan.ts";

const RUNS = process.env.TIDEMARK_TEST_LONG ? 20_000 : 1000;

const component = fc.float({ min: -1, max: 1, noNaN: true });
const vectorsAndQuery = fc.integer({ min: 1, max: 70 }).chain((dimensions) => {
  const vector = fc.array(component, { minLength: dimensions, maxLength: dimensions });
  return fc.tuple(fc.array(vector, { maxLength: 12 }), vector);
});

test("the bits of a vector are the signs of its components, the first in the lowest bit", () => {
  assert.deepEqual(bitsOf(Float32Array.of(1, -1, 0.5, -0, 0, 2, -3, 1e-30, 4)), Uint8Array.of(0b10100101, 1));
  assert.deepEqual(bitsOf(new Float32Array(0)), new Uint8Array(0));
});

test("a score is the product of the query with the vector's signs, for any number of dimensions", () => {
  fc.assert(
    fc.property(vectorsAndQuery, ([vectors, query]) => {
      const width = bytesOfBits(query.length);
      const bits = new Uint8Array(vectors.length * width);
      for (const [i, vector] of vectors.entries()) bits.set(bitsOf(Float32Array.from(vector)), i * width);
      const scores = new BitScan(Float32Array.from(query)).scores(bits, vectors.length);
      const expected = vectors.map((vector) =>
        vector.reduce((sum, value, i) => sum + (value > 0 ? query[i]! : -query[i]!), 0),
      );
      assert.equal(scores.length, vectors.length);
      for (const [i, score] of scores.entries())
        assert.ok(Math.abs(score - expected[i]!) < 1e-4, `${score} instead of ${expected[i]}`);
    }),
    { numRuns: RUNS },
  );
});

test("scores go where they are wanted, and nowhere else", () => {
  const scan = new BitScan(Float32Array.of(1, 2, 4));
  const into = new Float32Array(4).fill(9);
  scan.scores(Uint8Array.of(0b111, 0b001), 2, into.subarray(1));
  assert.deepEqual([...into], [9, 7, -5, 9]);
});

test("fewer bytes than the vectors take, and no room for their scores, are refused", () => {
  const scan = new BitScan(new Float32Array(9));
  assert.throws(() => scan.scores(new Uint8Array(3), 2), RangeError);
  assert.throws(() => scan.scores(new Uint8Array(4), 2, new Float32Array(1)), RangeError);
});

describe("the best of the scores", () => {
  test("are those that a full sort has first, of equal ones the lower place, in order of place", () => {
    const few = fc.constantFrom(-1, 0, 0.5, 0.75, 3);
    fc.assert(
      fc.property(fc.array(fc.oneof(few, component), { maxLength: 80 }), fc.nat(90), (values, k) => {
        const scores = Float32Array.from(values);
        const sorted = [...scores.keys()].sort((a, b) => scores[b]! - scores[a]! || a - b);
        assert.deepEqual(
          topOf(scores, k),
          sorted.slice(0, k).sort((a, b) => a - b),
        );
      }),
      { numRuns: RUNS },
    );
  });

  test("are never those of minus infinity, though there are too few others", () => {
    const never = Number.NEGATIVE_INFINITY;
    assert.deepEqual(topOf(Float32Array.of(never, 1, never, 2), 3), [1, 3]);
    assert.deepEqual(topOf(Float32Array.of(never, never), 2), []);
  });

  test("are found without a change to the scores", () => {
    const scores = Float32Array.of(3, 1, 2);
    assert.deepEqual(topOf(scores, 2), [0, 2]);
    assert.deepEqual([...scores], [3, 1, 2]);
  });
});
