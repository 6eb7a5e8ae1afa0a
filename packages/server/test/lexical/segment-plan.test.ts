import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  DEAD_CHUNKS_MIN,
  MERGE_FACTOR,
  planMerge,
  SEGMENT_BYTES_MAX,
  type SegmentSize,
} from "../../src/lexical/plan-merge.ts";
import { LONG } from "../long.ts";

const RUNS = LONG ? 2000 : 100;
const BYTES_A_CHUNK = 500;

const sizeOf = (segment: number, chunks: number): SegmentSize => ({
  segment,
  chunks,
  bytes: chunks * BYTES_A_CHUNK,
});

/** Adds segments of these sizes one after another, and runs all planned merges after each. */
function simulate(
  batches: number[],
  afterBatch: (segments: SegmentSize[], added: number) => void = () => {},
) {
  let segments: SegmentSize[] = [];
  let number = 0;
  let added = 0;
  let written = 0;
  for (const chunks of batches) {
    segments.push(sizeOf(number++, chunks));
    added += chunks;
    written += chunks;
    for (let plan = planMerge(segments); plan; plan = planMerge(segments)) {
      const chosen = segments.filter(({ segment }) => plan.includes(segment));
      assert.equal(chosen.length, plan.length);
      const total = chosen.reduce((sum, { chunks }) => sum + chunks, 0);
      segments = [...segments.filter((segment) => !chosen.includes(segment)), sizeOf(number++, total)];
      written += total;
    }
    afterBatch(segments, added);
  }
  return { segments, written, added };
}

const log8 = (n: number) => Math.log(n) / Math.log(8);

describe("the planned merges", () => {
  const batch = fc.oneof(fc.integer({ min: 1, max: 500 }), fc.integer({ min: 1, max: 8 }), fc.constant(500));

  test("keep the segments few and write a chunk rarely, whatever the batches are", () => {
    fc.assert(
      fc.property(fc.array(batch, { minLength: 1, maxLength: 400 }), (batches) => {
        const { written, added } = simulate(batches, (segments, added) => {
          const most = (MERGE_FACTOR - 1) * (Math.floor(log8(added) + 1e-9) + 1);
          assert.ok(segments.length <= most, `${segments.length} segments of ${added} chunks`);
        });
        assert.ok(written <= added * (log8(added) + 1 + 1e-9), `${written} chunks written for ${added}`);
      }),
      { numRuns: RUNS },
    );
  });

  test("keep 1,000,000 chunks from batches of 500 in few segments", () => {
    const { segments, written, added } = simulate(Array.from({ length: 2000 }, () => 500));
    assert.ok(segments.length <= 4 * (MERGE_FACTOR - 1));
    assert.ok(written <= 5 * added);
  });

  test("keep 20,000 records that came one by one in few segments", () => {
    const { segments } = simulate(Array.from({ length: 20_000 }, () => 1));
    assert.ok(segments.length <= 5 * (MERGE_FACTOR - 1));
  });

  test("never make a segment above the largest size", () => {
    const chunks = SEGMENT_BYTES_MAX / BYTES_A_CHUNK / 10;
    const { segments } = simulate(Array.from({ length: 30 }, () => Math.floor(chunks)));
    assert.ok(segments.every(({ bytes }) => bytes <= SEGMENT_BYTES_MAX));
    const half = { segment: 9, chunks: 10, bytes: SEGMENT_BYTES_MAX / MERGE_FACTOR };
    const plan = planMerge(Array.from({ length: 8 }, (_, i) => ({ ...half, segment: i })));
    assert.equal(plan?.length, 8, "eight segments that add up to the largest size are merged");
  });
});

describe("the next merge", () => {
  const eight = (chunks: number, from: number) =>
    Array.from({ length: MERGE_FACTOR }, (_, i) => sizeOf(from + i, chunks));

  test("is none while no tier has eight segments", () => {
    assert.equal(planMerge([]), null);
    assert.equal(
      planMerge([...eight(1, 0).slice(1), ...eight(8, 10).slice(1), ...eight(64, 20).slice(1)]),
      null,
    );
  });

  test("joins the oldest eight of the smallest tier that has eight", () => {
    const segments = [...eight(64, 50), sizeOf(30, 7), ...eight(1, 10)];
    assert.deepEqual(planMerge(segments.toReversed()), [10, 11, 12, 13, 14, 15, 16, 17]);
    assert.deepEqual(planMerge(eight(64, 50)), [50, 51, 52, 53, 54, 55, 56, 57]);
  });

  test("counts a power of eight to the higher tier", () => {
    assert.equal(planMerge([...eight(512, 0).slice(1), sizeOf(9, 511)]), null);
    assert.equal(planMerge([...eight(512, 0).slice(1), sizeOf(9, 4095)])?.length, 8);
  });

  test("rewrites a large segment by itself once most of it is dead", () => {
    const large = { segment: 3, chunks: 5_000_000, bytes: SEGMENT_BYTES_MAX };
    assert.equal(planMerge([{ ...large, live: 2_500_000 }]), null);
    assert.deepEqual(planMerge([sizeOf(1, 5), { ...large, live: 2_499_999 }]), [3]);
    assert.deepEqual(planMerge([{ ...large, live: 0 }]), [3]);
  });

  test("leaves small dead segments alone", () => {
    assert.equal(planMerge([{ ...sizeOf(1, DEAD_CHUNKS_MIN - 1), live: 0 }]), null);
    assert.deepEqual(planMerge([{ ...sizeOf(1, DEAD_CHUNKS_MIN), live: 0 }]), [1]);
  });
});
