import { ByteWriter } from "./byte-writer.ts";

/**
 * The encoded postings of a term in a segment. One posting is two or three varints:
 *
 *     2 * (position - position of the posting before) + (frequency > 1 ? 1 : 0)
 *     frequency, if it is above 1
 *     the chunk's length in terms
 *
 * Every posting of a chunk repeats the length, so that a score needs nothing else.
 */
export interface EncodedPostings {
  /** The number of chunks with the term, dead ones included. */
  count: number;
  bytes: Uint8Array;
}

/** Positions are below this, so that a double holds twice a position exactly. */
export const POSITIONS_MAX = 2 ** 52;

/** Frequencies and lengths are below this, because they are read with bit operations. */
const COUNTS_MAX = 2 ** 28;

const DAMAGED = "The index is damaged: a posting extends beyond the end of its list. Rebuild the index.";

/** Reads the postings of a term in ascending order of position. */
export class PostingsCursor {
  /** The chunk's number, relative to the segment's first chunk. */
  position = 0;
  /** How often the chunk has the term. */
  frequency = 0;
  /** How many terms the chunk has. */
  length = 0;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;
  #end = 0;

  /** Moves before the first posting between two offsets of `bytes`. */
  reset(bytes: Uint8Array, start: number, end: number): void {
    this.position = 0;
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  /**
   * Moves to the next posting; false if there is none.
   * @throws Error if the bytes are damaged
   */
  advance(): boolean {
    const bytes = this.#bytes;
    let at = this.#at;
    if (at >= this.#end) return false;
    // This is the hottest code: the loop is repeated because a function would have to return the new offset too.
    let byte = bytes[at++]!;
    let step = byte & 127;
    for (let shift = 7; byte >= 128; shift += 7) {
      if (shift === 28) return this.#advanceFar();
      byte = bytes[at++]!;
      step |= (byte & 127) << shift;
    }
    let frequency = 1;
    if (step & 1) {
      byte = bytes[at++]!;
      frequency = byte & 127;
      for (let shift = 7; byte >= 128; shift += 7) {
        byte = bytes[at++]!;
        frequency |= (byte & 127) << shift;
      }
    }
    byte = bytes[at++]!;
    let length = byte & 127;
    for (let shift = 7; byte >= 128; shift += 7) {
      byte = bytes[at++]!;
      length |= (byte & 127) << shift;
    }
    if (at > this.#end) throw new Error(DAMAGED);
    this.#at = at;
    this.position += step >> 1;
    this.frequency = frequency;
    this.length = length;
    return true;
  }

  /** Moves to the next posting if its step has more bits than bit operations handle. */
  #advanceFar(): boolean {
    const step = this.#varint();
    this.frequency = step % 2 === 1 ? this.#varint() : 1;
    this.length = this.#varint();
    if (this.#at > this.#end) throw new Error(DAMAGED);
    this.position += Math.floor(step / 2);
    return true;
  }

  #varint(): number {
    let byte = this.#bytes[this.#at++]!;
    let value = byte & 127;
    for (let scale = 128; byte >= 128; scale *= 128) {
      byte = this.#bytes[this.#at++]!;
      value += (byte & 127) * scale;
    }
    return value;
  }
}

/** Encodes the postings of one term after another. */
export class PostingsWriter {
  readonly encoded = new ByteWriter(1024);
  count = 0;
  #previous = -1;

  /** Forgets what was written, for the next term. */
  clear(): void {
    this.encoded.length = 0;
    this.count = 0;
    this.#previous = -1;
  }

  /** @param position greater than that of the posting before */
  add(position: number, frequency: number, length: number): void {
    if (position <= this.#previous || position >= POSITIONS_MAX)
      throw new RangeError(`A posting at ${position} cannot follow one at ${this.#previous}`);
    if (length >= COUNTS_MAX || frequency > length || frequency < 1)
      throw new RangeError(`A term cannot occur ${frequency} times in a chunk of ${length}`);
    const step = position - Math.max(this.#previous, 0);
    this.encoded.varint(step * 2 + (frequency > 1 ? 1 : 0));
    if (frequency > 1) this.encoded.varint(frequency);
    this.encoded.varint(length);
    this.#previous = position;
    this.count++;
  }
}
