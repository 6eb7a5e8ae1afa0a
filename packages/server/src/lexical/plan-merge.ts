/** The number of segments of one tier that a merge joins, and the ratio between the sizes of two tiers. */
export const MERGE_FACTOR = 8;

/** No merge makes a larger segment, so that every merge ends within minutes. */
export const SEGMENT_BYTES_MAX = 2 * 1024 ** 3;

/** A mostly dead segment is rewritten by itself once it has this many dead chunks. */
export const DEAD_CHUNKS_MIN = 512;

export interface SegmentSize {
  segment: number;
  /** The number of chunks that were live when the segment was built. */
  chunks: number;
  bytes: number;
  /** How many of them are still live, if that is known. */
  live?: number;
}

/**
 * Which segments to merge next; null: none. Once a tier (1 to 7 live chunks, 8 to 63, 64 to 511 …) has eight
 * segments, they become one segment of a higher tier. So there are at most `7 * (log8(chunks) + 1)` segments of up to
 * an eighth of the largest size, and a chunk is written at most `log8(chunks) + 1` times.
 *
 * A segment of which less than half is live is rewritten without its dead chunks, even if it is too large to be merged
 * with others: that costs less than writing the dead chunks did.
 *
 * Source of the tiers: O'Neil, Cheng, Gawlick, O'Neil, "The Log-Structured Merge-Tree", Acta Informatica 33 (1996); as
 * in Lucene's LogMergePolicy.
 */
export function planMerge(segments: SegmentSize[]): number[] | null {
  const tiers = new Map<number, SegmentSize[]>();
  for (const segment of segments) {
    if (liveBytes(segment) > SEGMENT_BYTES_MAX / MERGE_FACTOR) continue;
    const tier = tierOf(liveChunks(segment));
    const peers = tiers.get(tier);
    if (peers) peers.push(segment);
    else tiers.set(tier, [segment]);
  }
  // Merging the smallest tier is the cheapest way to fewer segments.
  for (const [, peers] of [...tiers].sort(([a], [b]) => a - b)) {
    if (peers.length < MERGE_FACTOR) continue;
    const oldest = peers.map(({ segment }) => segment).sort((a, b) => a - b);
    return oldest.slice(0, MERGE_FACTOR);
  }
  const dead = segments.find((segment) => {
    const live = liveChunks(segment);
    return segment.chunks - live >= DEAD_CHUNKS_MIN && live < segment.chunks / 2;
  });
  return dead ? [dead.segment] : null;
}

const liveChunks = ({ live, chunks }: SegmentSize) => live ?? chunks;

const liveBytes = (segment: SegmentSize) =>
  segment.bytes * (liveChunks(segment) / Math.max(segment.chunks, 1));

/** The whole part of the logarithm; Math.log is not exact at the powers. */
function tierOf(chunks: number): number {
  let tier = 0;
  for (let rest = chunks; rest >= MERGE_FACTOR; rest /= MERGE_FACTOR) tier++;
  return tier;
}
