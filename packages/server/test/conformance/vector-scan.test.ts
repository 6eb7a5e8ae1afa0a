import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { bytesOfCode, CodeScan, encode, topOf } from "../../src/storage/sqlite/vector-scan.ts";
import { LONG } from "../long.ts";

const RUNS = LONG ? 20_000 : 1000;

const component = fc.float({ min: -1, max: 1, noNaN: true });
const vectorsAndQuery = fc.integer({ min: 1, max: 70 }).chain((dimensions) => {
  const vector = fc.array(component, { minLength: dimensions, maxLength: dimensions });
  return fc.tuple(fc.array(vector, { maxLength: 12 }), vector);
});

const ofLengthOne = (vector: number[]): Float32Array => {
  const length = Math.hypot(...vector);
  return Float32Array.from(vector, (value) => (length === 0 ? 0 : value / length));
};

test("a code has two bits per component, above zero and large, with the first component lowest", () => {
  const half = 0.5 / Math.sqrt(5);
  const { code } = encode(Float32Array.of(4 * half, -4 * half, half, -half, 0));
  assert.deepEqual(code, Uint8Array.of(0b00_10_01_11, 0));
  assert.deepEqual(encode(new Float32Array(0)), { code: new Uint8Array(0), scale: 0 });
});

test("the score of a vector with itself is exactly 1, and that of an empty vector 0", () => {
  fc.assert(
    fc.property(vectorsAndQuery, ([, values]) => {
      const vector = ofLengthOne(values);
      const { code, scale } = encode(vector);
      const [score] = new CodeScan(vector).scores(code, Float32Array.of(scale));
      const expected = vector.some((value) => value !== 0) ? 1 : 0;
      assert.ok(Math.abs(score! - expected) < 1e-5, `${score} instead of ${expected}`);
    }),
    { numRuns: RUNS },
  );
});

test("a score is the scaled product of the query and the code's values, for any number of dimensions", () => {
  fc.assert(
    fc.property(vectorsAndQuery, ([vectors, query]) => {
      const width = bytesOfCode(query.length);
      const codes = new Uint8Array(vectors.length * width);
      const scales = Float32Array.from(vectors, () => 2);
      const limit = 0.9816 / Math.sqrt(query.length);
      for (const [i, vector] of vectors.entries())
        codes.set(encode(Float32Array.from(vector)).code, i * width);
      const scores = new CodeScan(Float32Array.from(query)).scores(codes, scales);
      const expected = vectors.map((vector) =>
        vector.reduce((sum, value, i) => {
          const size = Math.abs(value) > limit ? 1.51 : 0.4528;
          return sum + 2 * query[i]! * (value > 0 ? size : -size);
        }, 0),
      );
      assert.equal(scores.length, vectors.length);
      for (const [i, score] of scores.entries())
        assert.ok(Math.abs(score - expected[i]!) < 1e-4, `${score} instead of ${expected[i]}`);
    }),
    { numRuns: RUNS },
  );
});

test("scores are written into the given array, and nowhere else", () => {
  const scan = new CodeScan(Float32Array.of(1, 2, 4));
  const into = new Float32Array(4).fill(9);
  scan.scores(Uint8Array.of(0b11_11_11, 0b00_00_10), Float32Array.of(1, 1), into.subarray(1));
  assert.deepEqual(
    [...into].map((score) => Math.round(score * 1000) / 1000),
    [9, 10.57, -2.264, 9],
  );
});

test("too few bytes of codes, or too little room for scores, throw an error", () => {
  const scan = new CodeScan(new Float32Array(5));
  assert.throws(() => scan.scores(new Uint8Array(3), new Float32Array(2)), RangeError);
  assert.throws(() => scan.scores(new Uint8Array(4), new Float32Array(2), new Float32Array(1)), RangeError);
});

describe("the best of the scores", () => {
  test("are the first ones of a full sort, lower places first among equals, in order of place", () => {
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

  test("never include minus infinity, even if there are too few others", () => {
    const never = Number.NEGATIVE_INFINITY;
    assert.deepEqual(topOf(Float32Array.of(never, 1, never, 2), 3), [1, 3]);
    assert.deepEqual(topOf(Float32Array.of(never, never), 2), []);
  });

  test("are found without changing the scores", () => {
    const scores = Float32Array.of(3, 1, 2);
    assert.deepEqual(topOf(scores, 2), [0, 2]);
    assert.deepEqual([...scores], [3, 1, 2]);
  });
});
