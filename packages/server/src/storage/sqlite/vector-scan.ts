/**
 * A quick scan of all vectors for those worth exact scoring. It reads two bits of each component: its sign, and whether
 * it is large. The query is not encoded.
 *
 * Sources: Max, "Quantizing for Minimum Distortion", IRE Transactions on Information Theory 6 (1960), for the levels;
 * Jégou, Douze, Schmid, "Product Quantization for Nearest Neighbor Search", IEEE TPAMI 33 (2011), for the tables of an
 * asymmetric distance, here with a byte for 4 components; Gao, Long, "RaBitQ", SIGMOD 2024, for dividing by the product
 * of a vector with its own code, which makes the estimate right on average. Unlike RaBitQ, vectors are not rotated.
 */

/**
 * From which size a component of a normal distribution of variance 1 counts as large, and the values that stand for
 * small and large components.
 */
const [LIMIT, SMALL, LARGE] = [0.9816, 0.4528, 1.51];
/** The values for the two bits of a component: the higher bit means above zero, the lower one means large. */
const LEVELS = [-SMALL, -LARGE, SMALL, LARGE];
const COMPONENTS_PER_BYTE = 4;

/** How many bytes the code of a vector takes. */
export const bytesOfCode = (dimensions: number): number => Math.ceil(dimensions / COMPONENTS_PER_BYTE);

/**
 * The code of a vector of length 1, and the scale for products with the code. Component i is in byte `i / 4`, from bit
 * `2 * (i % 4)` on.
 */
export function encode(vector: Float32Array): { code: Uint8Array; scale: number } {
  const code = new Uint8Array(bytesOfCode(vector.length));
  const limit = LIMIT / Math.sqrt(vector.length);
  let product = 0;
  for (let i = 0; i < vector.length; i++) {
    const value = vector[i]!;
    const bits = (value > 0 ? 2 : 0) | (Math.abs(value) > limit ? 1 : 0);
    code[i >> 2]! |= bits << (2 * (i & 3));
    product += value * LEVELS[bits]!;
  }
  return { code, scale: product === 0 ? 0 : 1 / product };
}

/** Compares a query with the codes of many vectors. */
export class CodeScan {
  /** How many bytes a code takes. */
  readonly bytes: number;
  /** For each byte of a code, what each of its 256 values adds to the product. */
  #tables: Float64Array;

  constructor(query: Float32Array) {
    this.bytes = bytesOfCode(query.length);
    this.#tables = new Float64Array(this.bytes * 256);
    for (let at = 0; at < this.#tables.length; at++) {
      for (let component = 0; component < COMPONENTS_PER_BYTE; component++) {
        const level = LEVELS[((at & 255) >> (2 * component)) & 3]!;
        this.#tables[at]! += level * (query[(at >> 8) * COMPONENTS_PER_BYTE + component] ?? 0);
      }
    }
  }

  /**
   * Estimates the products of the query with vectors.
   * @param codes of the vectors, one after another
   * @param scales of the vectors
   * @param into where the estimates go, from its start
   */
  scores(codes: Uint8Array, scales: Float32Array, into = new Float32Array(scales.length)): Float32Array {
    const count = scales.length;
    if (codes.length < count * this.bytes || into.length < count)
      throw new RangeError(`${count} codes of ${this.bytes} bytes are not in ${codes.length} bytes`);
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
        a += tables[table + codes[at]!]!;
        b += tables[table + 256 + codes[at + 1]!]!;
        c += tables[table + 512 + codes[at + 2]!]!;
        d += tables[table + 768 + codes[at + 3]!]!;
      }
      for (let rest = even; rest < width; rest++, table += 256) a += tables[table + codes[at++]!]!;
      into[i] = (a + b + (c + d)) * scales[i]!;
    }
    return into;
  }
}

/**
 * The places of the best k scores, in ascending order, which is the fastest order to fetch them; of equal scores the
 * lower places. A score of minus infinity, which stands for excluded vectors, is never among them.
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
 * The score that would be at a place if the scores were sorted from the highest. It reorders the scores.
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
