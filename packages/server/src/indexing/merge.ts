import { mergeBlocks } from "../lexical/merge-segments.ts";
import { planMerge } from "../lexical/plan-merge.ts";
import type { SegmentBlock } from "../lexical/segment.ts";
import type { Build, Segment } from "../storage/index-port.ts";
import type { Storage } from "../storage/port.ts";

/** Bytes of a merged segment that one transaction writes. */
const STEP_BYTES = 1024 * 1024;
/** A merge that writes nothing for this long is abandoned. */
const PATIENCE_MS = 60_000;

/** Segments that are to become one. */
export interface Merge {
  build: number;
  inputs: Segment[];
  /** The merged segment. */
  into: Segment;
}

/** Which segments of a store's index to merge next; null: none. Only reads. */
export async function findMerge(
  storage: Storage,
  storeId: string,
): Promise<{ build: number; segments: number[] } | null> {
  for (const build of await storage.index.builds(storeId)) {
    if (build.state === "retired") continue;
    const live = (await storage.index.segments(storeId, build.build)).filter(({ state }) => state === "live");
    const segments = planMerge(live) ?? planMerge(await countLive(storage, storeId, build, live));
    if (segments) return { build: build.build, segments };
  }
  return null;
}

/** Counts the live chunks of each segment, if so many are dead that one of the segments may need a merge by itself. */
async function countLive(storage: Storage, storeId: string, build: Build, segments: Segment[]) {
  const numbered = segments.reduce((sum, { chunks }) => sum + chunks, 0);
  if (build.chunks > numbered / 2) return segments;
  const counted = [];
  for (const segment of segments) {
    const { firstChunk, endChunk, chunks } = segment;
    const live = await storage.index.liveChunks(storeId, build.build, firstChunk, endChunk);
    // The range may include other segments' chunks: a segment then counts as more live than it is, never as less.
    counted.push({ ...segment, live: Math.min(live.length, chunks) });
  }
  return counted;
}

/** Begins a merge; null if the segments are no longer there, or another process is merging. */
export function beginMerge(
  storage: Storage,
  storeId: string,
  { build, segments }: { build: number; segments: number[] },
  now: number,
): Promise<Merge | null> {
  return storage.ledger(storeId, async ({ index }) => {
    const current = (await index.builds()).find((row) => row.build === build && row.state !== "retired");
    const all = await index.segments(build);
    const making = all.filter(({ state }) => state === "merging");
    if (!current || making.some(({ makingUntil }) => makingUntil > now)) return null;
    for (const abandoned of making) await index.putSegment(build, { ...abandoned, state: "merged" });
    const inputs = all.filter(({ segment, state }) => state === "live" && segments.includes(segment));
    if (inputs.length !== segments.length) return null;
    const into: Segment = {
      segment: current.nextSegment,
      state: "merging",
      firstChunk: Math.min(...inputs.map(({ firstChunk }) => firstChunk)),
      endChunk: Math.max(...inputs.map(({ endChunk }) => endChunk)),
      chunks: inputs.reduce((sum, { chunks }) => sum + chunks, 0),
      bytes: 0,
      makingUntil: now + PATIENCE_MS,
    };
    await index.putSegment(build, into);
    await index.putBuild({ ...current, nextSegment: current.nextSegment + 1 });
    return { build, inputs, into };
  });
}

/** Some blocks of a merged segment, and the number of chunks in all blocks so far. */
export interface MergedBlocks {
  blocks: SegmentBlock[];
  chunks: number;
}

/** The blocks of the merged segment, in steps that one transaction each may write. */
export async function* mergedBlocks(
  storage: Storage,
  storeId: string,
  { build, inputs }: Merge,
): AsyncGenerator<MergedBlocks> {
  const live = new Set<number>();
  for (const { firstChunk, endChunk } of inputs) {
    for (const chunk of await storage.index.liveChunks(storeId, build, firstChunk, endChunk)) {
      live.add(chunk);
    }
  }
  const sources = inputs.map(({ segment, firstChunk }) => ({
    firstChunk,
    blocks: readBlocks(storage, storeId, build, segment),
  }));
  const kept = new Set<number>();
  const keep = (chunk: number) => live.has(chunk) && kept.add(chunk) !== undefined;
  let blocks: SegmentBlock[] = [];
  let bytes = 0;
  for await (const block of mergeBlocks(sources, keep)) {
    blocks.push(block);
    bytes += block.data.length;
    if (bytes < STEP_BYTES) continue;
    yield { blocks, chunks: kept.size };
    blocks = [];
    bytes = 0;
  }
  yield { blocks, chunks: kept.size };
}

async function* readBlocks(storage: Storage, storeId: string, build: number, segment: number) {
  let after: string | null = null;
  for (;;) {
    const blocks: SegmentBlock[] = await storage.index.blocks(storeId, build, segment, after);
    yield* blocks;
    const last = blocks.at(-1);
    if (!last) return;
    after = last.firstTerm;
  }
}

/** Writes a step of a merge. @returns false if another process has taken the merge over */
export function addToMerge(
  storage: Storage,
  storeId: string,
  { build, into }: Merge,
  { blocks, chunks }: MergedBlocks,
  now: number,
): Promise<boolean> {
  return storage.ledger(storeId, async ({ index }) => {
    const merging = (await index.segments(build)).find(({ segment }) => segment === into.segment);
    if (merging?.state !== "merging") return false;
    await index.addBlocks(build, into.segment, blocks);
    const bytes = merging.bytes + blocks.reduce((sum, { data }) => sum + data.length, 0);
    await index.putSegment(build, { ...merging, chunks, bytes, makingUntil: now + PATIENCE_MS });
    return true;
  });
}

/** Replaces the inputs by the merged segment, in one transaction. */
export function finishMerge(
  storage: Storage,
  storeId: string,
  { build, inputs, into }: Merge,
): Promise<void> {
  return storage.ledger(storeId, async ({ index }) => {
    const all = new Map((await index.segments(build)).map((segment) => [segment.segment, segment]));
    const merging = all.get(into.segment);
    if (merging?.state !== "merging") return;
    const isWhole = inputs.every(({ segment }) => all.get(segment)?.state === "live");
    await index.putSegment(build, { ...merging, state: isWhole ? "live" : "merged" });
    if (!isWhole) return;
    for (const { segment } of inputs)
      await index.putSegment(build, { ...all.get(segment)!, state: "merged" });
  });
}
