import { ByteWriter } from "./byte-writer.ts";

/**
 * The postings of a term in a segment, as they are kept. One posting is up to three varints:
 *
 *     2 * (position - position of the posting before) + (frequency > 1 ? 1 : 0)
 *     frequency, if it is above 1
 *     the chunk's length in terms
 *
 * The length is repeated in every posting of a chunk, so that a score needs nothing else.
 */
export interface EncodedPostings {
  /** How many chunks have the term, dead ones too. */
  count: number;
  bytes: Uint8Array;
}

/** Positions are below this, so that twice a position is still exact in a double. */
export const POSITIONS_MAX = 2 ** 52;

/** Frequencies and lengths are below this: they are read with bit operations. */
const COUNTS_MAX = 2 ** 28;

const DAMAGED = "Postings of the index are damaged: one goes beyond their end";

/** Goes through the postings of a term, in ascending order of position. */
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

  /** To before the first posting of those encoded between two offsets. */
  reset(bytes: Uint8Array, start: number, end: number): void {
    this.position = 0;
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  /**
   * To the next posting; false if there is none.
   * @throws Error if the bytes are no postings
   */
  advance(): boolean {
    const bytes = this.#bytes;
    let at = this.#at;
    if (at >= this.#end) return false;
    // The same loop three times, not a function: it would have to return the new offset too, and this is the hottest
    // code.
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

  /** The same where the step has more bits than bit operations are good for. */
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

  /** @param position above that of the posting before */
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
