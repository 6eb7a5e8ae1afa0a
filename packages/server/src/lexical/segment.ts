import { ByteWriter } from "./byte-writer.ts";
import { type EncodedPostings, PostingsWriter } from "./postings.ts";
import { encodeTerms, sortedOrder } from "./sort-terms.ts";

/**
 * A block of a segment, stored as one row. A segment is an immutable list of terms and their postings for a batch of
 * chunks, sorted by the terms' UTF-8 bytes, which is how the databases compare `firstTerm`. A block is a sequence of
 * entries:
 *
 *     how many bytes the term shares with the term before it in the block   varint
 *     how many bytes follow                                                 varint
 *     those bytes of the term, in UTF-8
 *     how many postings                                                     varint
 *     how many bytes of postings                                            varint
 *     the postings                                                          postings.ts
 */
export interface SegmentBlock {
  firstTerm: string;
  data: Uint8Array;
}

/** The largest block; only a single entry may be larger, in a block of its own. */
export const BLOCK_BYTES = 4096;

const encoder = new TextEncoder();
// A term may begin with the character that is a byte order mark in files.
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/**
 * Builds a segment of chunks, whose positions in it are 0, 1, 2 …
 *
 * @param chunks the terms of each chunk, in any order; their number, which may be 0, is the chunk's length
 * @returns the segment's blocks in order; none if no chunk has a term
 * @throws RangeError if a term is empty or has half of a surrogate pair, or if there are more than TERMS_MAX
 */
export function buildSegment(chunks: string[][]): SegmentBlock[] {
  const tokens = chunks.reduce((sum, terms) => sum + terms.length, 0);
  // Postings are in the order of chunks; those of a term form a linked list.
  const chunkOf = new Uint32Array(tokens);
  const frequencies = new Uint32Array(tokens);
  const next = new Int32Array(tokens);
  let postings = 0;
  const numbers = new Map<string, number>();
  const first: number[] = [];
  const last: number[] = [];
  for (const [chunk, terms] of chunks.entries()) {
    for (const term of terms) {
      let number = numbers.get(term);
      if (number === undefined) {
        number = numbers.size;
        numbers.set(term, number);
        first.push(postings);
      } else if (chunkOf[last[number]!] === chunk) {
        frequencies[last[number]!]!++;
        continue;
      } else next[last[number]!] = postings;
      last[number] = postings;
      chunkOf[postings] = chunk;
      frequencies[postings] = 1;
      next[postings++] = -1;
    }
  }

  const blocks: SegmentBlock[] = [];
  const writer = new BlockWriter();
  const encoded = new PostingsWriter();
  const terms = encodeTerms([...numbers.keys()]);
  for (const number of sortedOrder(terms)) {
    encoded.clear();
    for (let i = first[number]!; i !== -1; i = next[i]!) {
      const chunk = chunkOf[i]!;
      encoded.add(chunk, frequencies[i]!, chunks[chunk]!.length);
    }
    const block = writer.add(terms.bytes, terms.starts[number]!, terms.starts[number + 1]!, encoded);
    if (block) blocks.push(block);
  }
  const rest = writer.finish();
  if (rest) blocks.push(rest);
  return blocks;
}

/**
 * The postings of a term as a view into a block; undefined if the block does not have the term.
 *
 * @param block the segment's block with the greatest first term that is not above the term
 */
export function findPostings(block: Uint8Array, term: string): EncodedPostings | undefined {
  const termBytes = encoder.encode(term);
  const reader = new EntryReader(block);
  // The length of the prefix that the last entry's term shares with the term; all entries so far are below the term.
  let matched = 0;
  while (reader.next()) {
    if (reader.shared > matched) continue;
    if (reader.shared < matched) return undefined;
    let at = reader.restStart;
    while (at < reader.restEnd && matched < termBytes.length && reader.bytes[at] === termBytes[matched]) {
      at++;
      matched++;
    }
    if (at < reader.restEnd) {
      if (matched === termBytes.length || reader.bytes[at]! > termBytes[matched]!) return undefined;
    } else if (matched === termBytes.length) {
      return { count: reader.count, bytes: reader.bytes.subarray(reader.start, reader.end) };
    }
  }
  return undefined;
}

/** Reads the entries of a block. The fields describe the entry that `next` moved to. */
export class EntryReader {
  readonly bytes: Uint8Array;
  /** The number of bytes that the term shares with the term before. */
  shared = 0;
  /** The offsets of the rest of the term. */
  restStart = 0;
  restEnd = 0;
  /** The number of postings, and their offsets. */
  count = 0;
  start = 0;
  end = 0;

  constructor(block: Uint8Array) {
    // A driver may give a Buffer, but hot loops are quickest on a single class.
    this.bytes = new Uint8Array(block.buffer, block.byteOffset, block.byteLength);
  }

  /**
   * Moves to the next entry; false if there is none.
   * @throws Error if the bytes are damaged
   */
  next(): boolean {
    if (this.end >= this.bytes.length) return false;
    this.shared = this.#varint();
    const rest = this.#varint();
    this.restStart = this.end;
    this.restEnd = this.end += rest;
    this.count = this.#varint();
    const length = this.#varint();
    this.start = this.end;
    this.end += length;
    if (!(this.end <= this.bytes.length))
      throw new Error(
        "The index is damaged: an entry extends beyond the end of its block. Rebuild the index.",
      );
    return true;
  }

  #varint(): number {
    let byte = this.bytes[this.end++]!;
    let value = byte & 127;
    for (let scale = 128; byte >= 128; scale *= 128) {
      byte = this.bytes[this.end++]!;
      value += (byte & 127) * scale;
    }
    return value;
  }
}

/** Puts sorted entries into blocks. */
export class BlockWriter {
  #block = new ByteWriter(2 * BLOCK_BYTES);
  #firstTerm = "";
  /** The term of the entry before. */
  #previous = new ByteWriter(256);

  /**
   * Adds an entry.
   * @param bytes the term's bytes, from `start` to `end`
   * @returns the block before, if the entry does not fit into it
   */
  add(bytes: Uint8Array, start: number, end: number, postings: PostingsWriter): SegmentBlock | undefined {
    const length = this.#block.length;
    if (length > 0) {
      this.#entry(bytes, start, end, this.#sharedWith(bytes, start, end), postings);
      if (this.#block.length <= BLOCK_BYTES) return undefined;
      this.#block.length = length;
    }
    const full = this.finish();
    this.#firstTerm = decoder.decode(bytes.subarray(start, end));
    this.#entry(bytes, start, end, 0, postings);
    return full;
  }

  /** @returns the last block, if it was not returned yet */
  finish(): SegmentBlock | undefined {
    if (this.#block.length === 0) return undefined;
    const data = this.#block.bytes.slice(0, this.#block.length);
    this.#block.length = 0;
    return { firstTerm: this.#firstTerm, data };
  }

  #entry(
    bytes: Uint8Array,
    start: number,
    end: number,
    shared: number,
    { count, encoded }: PostingsWriter,
  ): void {
    this.#block.varint(shared);
    this.#block.varint(end - start - shared);
    this.#block.copy(bytes, start + shared, end);
    this.#block.varint(count);
    this.#block.varint(encoded.length);
    this.#block.copy(encoded.bytes, 0, encoded.length);
    this.#previous.length = shared;
    this.#previous.copy(bytes, start + shared, end);
  }

  #sharedWith(term: Uint8Array, start: number, end: number): number {
    const { bytes, length } = this.#previous;
    const sharedMax = Math.min(length, end - start);
    let shared = 0;
    while (shared < sharedMax && bytes[shared] === term[start + shared]) shared++;
    return shared;
  }
}
