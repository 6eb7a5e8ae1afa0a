import assert from "node:assert/strict";
import { test } from "node:test";
import { compareCodePoints } from "@tidemark/protocol/code-point-order";
import fc from "fast-check";
import { fuseRankings } from "../../src/search/fusion.ts";
import type { RecordKey } from "../../src/storage/record-key.ts";
import { LONG } from "../long.ts";

const RUNS = LONG ? 20_000 : 1000;

const record = (id: string, namespace = "n"): RecordKey => ({ namespace, id });
const ranking = (ids: string) => [...ids].map((id) => record(id));
const ids = (fused: { record: RecordKey }[]) => fused.map(({ record }) => record.id).join("");

test("a record's score is the sum of 1 / (60 + rank) over the rankings that have it", () => {
  const fused = fuseRankings([ranking("abc"), ranking("cb")]);
  assert.deepEqual(fused, [
    { record: record("c"), score: 1 / 63 + 1 / 61 },
    { record: record("b"), score: 1 / 62 + 1 / 62 },
    { record: record("a"), score: 1 / 61 },
  ]);
});

test("a single ranking keeps its order, and no ranking gives no records", () => {
  assert.equal(ids(fuseRankings([ranking("zebra")])), "zebra");
  assert.equal(ids(fuseRankings([[], ranking("ba"), []])), "ba");
  assert.deepEqual(fuseRankings([]), []);
});

test("a repetition of a record within a ranking does not count, and the next record moves up", () => {
  assert.deepEqual(fuseRankings([ranking("aaba")]), fuseRankings([ranking("ab")]));
});

test("records with the same namespace and id joined are different", () => {
  const fused = fuseRankings([[record("b", "a"), record("", "ab"), record("ab", "")]]);
  assert.equal(fused.length, 3);
});

test("equal scores are ordered by namespace, then id, both by their bytes", () => {
  const tied = [record("～", "x"), record("a", "y"), record("😀", "x"), record("b", "x"), record("z", "X")];
  const expected = ["X z", "x b", "x ～", "x 😀", "y a"];
  for (const records of [tied, [...tied].reverse()]) {
    const fused = fuseRankings(records.map((record) => [record]));
    assert.deepEqual(
      fused.map(({ record: { namespace, id } }) => `${namespace} ${id}`),
      expected,
    );
  }
});

test("a record is returned as in the first ranking that has it", () => {
  const [first] = fuseRankings([[{ ...record("a"), chunk: 1 }], [{ ...record("a"), chunk: 2 }]]);
  assert.equal(first!.record.chunk, 1);
});

test("the scores follow the definition, best first, in either order of two rankings", () => {
  const anyRanking = fc.uniqueArray(fc.integer({ min: 0, max: 30 }), { maxLength: 20 });
  fc.assert(
    fc.property(anyRanking, anyRanking, (a, b) => {
      const lists = [a, b].map((list) => list.map((n) => record(`r${n}`)));
      const fused = fuseRankings(lists);
      assert.deepEqual(fuseRankings(lists.toReversed()), fused);
      assert.equal(fused.length, new Set([...a, ...b]).size);
      for (const [i, { record, score }] of fused.entries()) {
        const ranks = lists
          .map((list) => list.findIndex(({ id }) => id === record.id))
          .filter((at) => at >= 0);
        const expected = ranks.reduce((sum, at) => sum + 1 / (60 + at + 1), 0);
        assert.ok(Math.abs(score - expected) < 1e-15);
        assert.ok(i === 0 || score <= fused[i - 1]!.score);
      }
    }),
    { numRuns: RUNS },
  );
});

test("code points are in the order of their UTF-8 bytes", () => {
  const unit = fc.constantFrom(
    "a",
    "b",
    "\u007f",
    "é",
    "\ud7ff",
    "\ue000",
    "～",
    "\uffff",
    "𐀀",
    "😀",
    "\u{10ffff}",
  );
  const text = fc.array(unit, { maxLength: 5 }).map((units) => units.join(""));
  fc.assert(
    fc.property(fc.oneof(text, fc.string({ unit: "grapheme" })), text, (a, b) => {
      const expected = Buffer.compare(Buffer.from(a), Buffer.from(b));
      assert.equal(Math.sign(compareCodePoints(a, b)), expected);
    }),
    { numRuns: RUNS },
  );
});
