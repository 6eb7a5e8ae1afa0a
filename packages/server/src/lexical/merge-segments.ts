import { ByteWriter } from "./byte-writer.ts";
import { PostingsCursor, PostingsWriter } from "./postings.ts";
import { BlockWriter, EntryReader, type SegmentBlock } from "./segment.ts";

type Block = Pick<SegmentBlock, "data">;

/** A segment to merge. */
export interface MergeInput {
  /** The number of the chunk at position 0. */
  firstChunk: number;
  /** All blocks of the segment, in order; they are read one at a time. */
  blocks: Iterable<Block> | AsyncIterable<Block>;
}

/**
 * Merges segments into one, whose first chunk is the smallest of the `firstChunk`s. The ranges of their chunks may
 * interleave, but no chunk may be in two segments. Dead chunks are left out, as are terms that only they have.
 *
 * The generator holds one block per input, the block that it writes and one entry, and works only when a block is read.
 *
 * @param isLive whether the chunk with this number is still live
 * @returns the blocks of the merged segment in order
 */
export async function* mergeBlocks(
  inputs: MergeInput[],
  isLive: (chunk: number) => boolean,
): AsyncGenerator<SegmentBlock, void, undefined> {
  const firstChunk = Math.min(...inputs.map((input) => input.firstChunk));
  const sources = inputs.map((input) => new Source(input, firstChunk));
  try {
    let open: Source[] = [];
    for (const source of sources) if (await source.load()) open.push(source);
    const blocks = new BlockWriter();
    const postings = new PostingsWriter();
    while (open.length > 0) {
      const least = leastOf(open);
      writeLive(least, firstChunk, isLive, postings);
      if (postings.count > 0) {
        const { term } = least[0]!;
        const full = blocks.add(term.bytes, 0, term.length, postings);
        if (full) yield full;
      }
      for (const source of least) {
        if (source.next() || (await source.load())) continue;
        open = open.filter((candidate) => candidate !== source);
      }
    }
    const rest = blocks.finish();
    if (rest) yield rest;
  } finally {
    for (const source of sources) await source.close();
  }
}

/** Reads a segment entry by entry. */
class Source {
  /** The term of the current entry. */
  readonly term = new ByteWriter(256);
  /** The postings of the current entry. */
  readonly postings = new PostingsCursor();
  /** The difference between a position in the merged segment and in this one. */
  readonly offset: number;
  #blocks: Iterator<Block> | AsyncIterator<Block>;
  #entries = new EntryReader(new Uint8Array(0));

  constructor({ blocks, firstChunk }: MergeInput, mergedFirstChunk: number) {
    this.#blocks =
      Symbol.asyncIterator in blocks ? blocks[Symbol.asyncIterator]() : blocks[Symbol.iterator]();
    this.offset = firstChunk - mergedFirstChunk;
  }

  /** Moves to the next entry of the block; false if there is none. */
  next(): boolean {
    const entries = this.#entries;
    if (!entries.next()) return false;
    this.term.length = entries.shared;
    this.term.copy(entries.bytes, entries.restStart, entries.restEnd);
    this.postings.reset(entries.bytes, entries.start, entries.end);
    return true;
  }

  /** Moves to the first entry of the next block; false if there is none. */
  async load(): Promise<boolean> {
    for (;;) {
      const { done, value } = await this.#blocks.next();
      if (done) return false;
      this.#entries = new EntryReader(value.data);
      if (this.next()) return true;
    }
  }

  async close(): Promise<void> {
    await this.#blocks.return?.();
  }
}

/** The sources whose current term is the least. */
function leastOf(open: Source[]): Source[] {
  let least = [open[0]!];
  for (let i = 1; i < open.length; i++) {
    const source = open[i]!;
    const order = compareTerms(source.term, least[0]!.term);
    if (order < 0) least = [source];
    else if (order === 0) least.push(source);
  }
  return least;
}

function compareTerms(a: ByteWriter, b: ByteWriter): number {
  const end = Math.min(a.length, b.length);
  for (let i = 0; i < end; i++) {
    const difference = a.bytes[i]! - b.bytes[i]!;
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Encodes the live postings of all sources in one ascending order. */
function writeLive(
  sources: Source[],
  firstChunk: number,
  isLive: (chunk: number) => boolean,
  into: PostingsWriter,
): void {
  into.clear();
  let open = sources.filter(({ postings }) => postings.advance());
  while (open.length > 0) {
    // Reads the source with the lowest position until it is not the lowest: ranges mostly do not interleave.
    let lowest = open[0]!;
    let limit = Number.POSITIVE_INFINITY;
    for (let i = 1; i < open.length; i++) {
      const source = open[i]!;
      const position = source.offset + source.postings.position;
      const lowestPosition = lowest.offset + lowest.postings.position;
      limit = Math.min(limit, Math.max(position, lowestPosition));
      if (position < lowestPosition) lowest = source;
    }
    const { postings, offset } = lowest;
    let more = true;
    while (more && offset + postings.position <= limit) {
      const position = offset + postings.position;
      if (isLive(firstChunk + position)) into.add(position, postings.frequency, postings.length);
      more = postings.advance();
    }
    if (!more) open = open.filter((source) => source !== lowest);
  }
}
