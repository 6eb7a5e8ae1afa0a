/** So many segments of one tier are merged into one; the sizes of a tier are within this factor of each other. */
export const MERGE_FACTOR = 8;

/** No merge makes a segment larger than this, so that one ends within minutes. */
export const SEGMENT_BYTES_MAX = 2 * 1024 ** 3;

/** A segment that is mostly dead is worth a merge by itself from so many dead chunks on. */
export const DEAD_CHUNKS_MIN = 512;

export interface SegmentSize {
  segment: number;
  /** Chunks that were live when it was built. */
  chunks: number;
  bytes: number;
  /** How many of them still are, where that is known. */
  live?: number;
}

/**
 * Which segments to merge next; null if it is well as it is. As soon as eight segments are of one tier (those of 1 to 7
 * live chunks, of 8 to 63, of 64 to 511 …) they become one of a higher tier. So there are at most
 * `7 * (log8(chunks) + 1)` segments of up to an eighth of the largest size, and a chunk is written at most
 * `log8(chunks) + 1` times.
 *
 * A segment of which less than half is live is written anew without the dead, also one that is too large to be merged
 * with others: what that costs is less than what was once spent on the dead.
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
  // The smallest first: that is the cheapest way to fewer segments.
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

/** A logarithm, in whole steps: Math.log is not exact at the powers. */
function tierOf(chunks: number): number {
  let tier = 0;
  for (let rest = chunks; rest >= MERGE_FACTOR; rest /= MERGE_FACTOR) tier++;
  return tier;
}
