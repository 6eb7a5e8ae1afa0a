/**
 * A quick look at all vectors, to find those worth exact scoring. Of each vector only the signs of its components are
 * read, one bit each; the query stays as it is.
 *
 * Sources: Gordo, Perronnin, "Asymmetric Distances for Binary Embeddings", CVPR 2011, for signs on one side only; Jégou,
 * Douze, Schmid, "Product Quantization for Nearest Neighbor Search", IEEE TPAMI 33 (2011), for the tables of an asymmetric
 * distance: here a byte of signs is a code of 8 components. Gao, Long, "RaBitQ", SIGMOD 2024, bound the error
 * of this estimate for vectors that are rotated at random first; these are not.
 */

/** How many bytes the signs of a vector take. */
export const bytesOfBits = (dimensions: number): number => Math.ceil(dimensions / 8);

/** The signs of a vector's components: bit `i % 8` of byte `i / 8` is set where component i is above zero. */
export function bitsOf(vector: Float32Array): Uint8Array {
  const bits = new Uint8Array(bytesOfBits(vector.length));
  for (let i = 0; i < vector.length; i++) if (vector[i]! > 0) bits[i >> 3]! |= 1 << (i & 7);
  return bits;
}

/** A query, ready to be compared with the signs of many vectors. */
export class BitScan {
  /** How many bytes a vector takes. */
  readonly bytes: number;
  /** For each byte of a vector, what each of its 256 values adds to the score. */
  #tables: Float64Array;

  constructor(query: Float32Array) {
    this.bytes = bytesOfBits(query.length);
    this.#tables = new Float64Array(this.bytes * 256);
    for (let byte = 0; byte < this.bytes; byte++) {
      const table = this.#tables.subarray(byte * 256, byte * 256 + 256);
      for (let bit = 0; bit < 8; bit++) table[0]! -= query[byte * 8 + bit] ?? 0;
      for (let value = 1; value < 256; value++) {
        const lowest = value & -value;
        const component = query[byte * 8 + (31 - Math.clz32(lowest))] ?? 0;
        table[value] = table[value ^ lowest]! + 2 * component;
      }
    }
  }

  /**
   * The products of the query with the signs (1 or -1) of vectors. For vectors of one length they grow with the cosine, roughly.
   *
   * @param bits the vectors' signs, one after another
   * @param count of vectors
   * @param into where the scores go, from its start
   */
  scores(bits: Uint8Array, count: number, into: Float32Array = new Float32Array(count)): Float32Array {
    if (bits.length < count * this.bytes || into.length < count)
      throw new RangeError(`${count} vectors of ${this.bytes} bytes are not in ${bits.length} bytes`);
    const tables = this.#tables;
    const width = this.bytes;
    const even = width - (width % 4);
    let at = 0;
    for (let i = 0; i < count; i++) {
      // Four sums, because each addition waits for the one before it.
      let a = 0;
      let b = 0;
      let c = 0;
      let d = 0;
      let table = 0;
      for (const end = at + even; at < end; at += 4, table += 1024) {
        a += tables[table + bits[at]!]!;
        b += tables[table + 256 + bits[at + 1]!]!;
        c += tables[table + 512 + bits[at + 2]!]!;
        d += tables[table + 768 + bits[at + 3]!]!;
      }
      for (let rest = even; rest < width; rest++, table += 256) a += tables[table + bits[at++]!]!;
      into[i] = a + b + (c + d);
    }
    return into;
  }
}

/**
 * The places of the best k scores, in ascending order, as they are best fetched; of equal scores the lower places. A score of
 * minus infinity is never among them: it stands for what must not be found.
 */
export function topOf(scores: Float32Array, k: number): number[] {
  const count = Math.min(k, scores.length);
  if (count === 0) return [];
  const least = highest(scores.slice(), count - 1);
  let better = 0;
  for (let i = 0; i < scores.length; i++) if (scores[i]! > least) better++;
  const places: number[] = [];
  const equals = least === Number.NEGATIVE_INFINITY ? 0 : count - better;
  for (let i = 0, equal = equals; i < scores.length; i++) {
    const score = scores[i]!;
    if (score > least || (score === least && equal-- > 0)) places.push(i);
  }
  return places;
}

/**
 * The score that would be at a place, if they were sorted from the highest; they are moved about.
 * Source: Hoare, "Algorithm 65: Find", Communications of the ACM 4 (1961).
 */
function highest(scores: Float32Array, place: number): number {
  let start = 0;
  let end = scores.length - 1;
  while (start < end) {
    const pivot = scores[(start + end) >> 1]!;
    let low = start;
    let high = end;
    while (low <= high) {
      while (scores[low]! > pivot) low++;
      while (scores[high]! < pivot) high--;
      if (low > high) break;
      const score = scores[low]!;
      scores[low++] = scores[high]!;
      scores[high--] = score;
    }
    if (place <= high) end = high;
    else if (place >= low) start = low;
    else break;
  }
  return scores[place]!;
}
