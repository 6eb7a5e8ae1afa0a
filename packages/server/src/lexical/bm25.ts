import { Best, type Scored } from "./best.ts";
import { type EncodedPostings, PostingsCursor } from "./postings.ts";

/** How soon further occurrences of a term in a chunk stop counting. */
export const K1 = 1.2;
/** How much a chunk's length counts against it. */
export const B = 0.75;

/** Statistics of all chunks that ranking needs. */
export interface Collection {
  /** The number of live chunks. */
  chunks: number;
  /** Their average length, in terms. */
  averageLength: number;
}

export interface QueryTerm {
  /** How often the query has the term, at least 1. */
  weight: number;
  /** The term's postings in each segment that has it, and the number of the segment's first chunk. */
  lists: { postings: EncodedPostings; firstChunk: number }[];
}

/**
 * Ranks chunks by BM25: the sum over the query's terms of
 * `weight * idf * f / (f + k1 * (1 - b + b * length / averageLength))`,
 * where `idf = ln(1 + (N - n + 0.5) / (n + 0.5))` for a term in n of N chunks. As in Lucene, idf is never negative, and
 * the factor `k1 + 1`, which is the same for all chunks, is left out.
 *
 * Dead chunks are scored, and counted in n, until a merge removes them; the caller must leave them out. The spread of
 * chunks over segments does not change a score, not even in its last bit.
 *
 * Source: Robertson, Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", Foundations and Trends in
 * Information Retrieval 3 (2009).
 *
 * @param terms distinct terms, in an order that depends only on the query, because sums of doubles depend on the order
 * @param allowed the only chunks to rank: their numbers, or an array with a non-zero byte at each number; default: all
 */
export function rank(
  { chunks, averageLength }: Collection,
  terms: QueryTerm[],
  allowed?: ReadonlySet<number> | Uint8Array,
): Ranking {
  const segments = new Map<number, Scorer[]>();
  let postings = 0;
  for (const { weight, lists } of terms) {
    const counted = lists.reduce((sum, list) => sum + list.postings.count, 0);
    const having = Math.min(counted, chunks);
    const factor = weight * Math.log(1 + (chunks - having + 0.5) / (having + 0.5));
    for (const list of lists) {
      const scorer = new Scorer(list.postings, factor, averageLength > 0 ? averageLength : 1);
      const scorers = segments.get(list.firstChunk);
      if (scorers) scorers.push(scorer);
      else segments.set(list.firstChunk, [scorer]);
    }
    postings += counted;
  }
  const ranking = new Ranking(postings, allowed);
  for (const [firstChunk, scorers] of segments) addScores(scorers, firstChunk, ranking);
  return ranking;
}

/** The chunks that have a term of the query, best first, then by number. */
export class Ranking {
  #chunks: Float64Array;
  #scores: Float64Array;
  #size = 0;
  #allowed: ReadonlySet<number> | Uint8Array | undefined;
  #last: Scored = { key: -1, score: Number.POSITIVE_INFINITY };

  /** @param capacity the greatest number of chunks */
  constructor(capacity: number, allowed?: ReadonlySet<number> | Uint8Array) {
    this.#chunks = new Float64Array(capacity);
    this.#scores = new Float64Array(capacity);
    this.#allowed = allowed;
  }

  add(chunk: number, score: number): void {
    this.#chunks[this.#size] = chunk;
    this.#scores[this.#size++] = score;
  }

  /**
   * Takes the next `count` chunks, or fewer if no more are left. Each call scans all scores, which is quicker than
   * sorting them for the few chunks that most callers want; a caller that doubles `count` makes few calls.
   */
  take(count: number): { chunk: number; score: number }[] {
    const chunks = this.#chunks;
    const scores = this.#scores;
    const best = new Best(count);
    for (let i = 0; i < this.#size; i++) {
      const score = scores[i]!;
      if (score < best.floor || score > this.#last.score) continue;
      const chunk = chunks[i]!;
      if (score === this.#last.score && chunk <= this.#last.key) continue;
      if (this.#isAllowed(chunk)) best.offer(chunk, score);
    }
    const taken = best.sorted();
    this.#last = taken.at(-1) ?? this.#last;
    return taken.map(({ key, score }) => ({ chunk: key, score }));
  }

  #isAllowed(chunk: number): boolean {
    const allowed = this.#allowed;
    if (allowed === undefined) return true;
    return allowed instanceof Uint8Array ? Boolean(allowed[chunk]) : allowed.has(chunk);
  }
}

/** Scores a term's postings in a segment, in ascending order of position. */
class Scorer {
  readonly #cursor = new PostingsCursor();
  readonly #factor: number;
  readonly #constant = K1 * (1 - B);
  readonly #perTerm: number;

  constructor({ bytes }: EncodedPostings, factor: number, averageLength: number) {
    this.#factor = factor;
    this.#perTerm = (K1 * B) / averageLength;
    this.#cursor.reset(bytes, 0, bytes.length);
    this.isOpen = this.#cursor.advance();
  }

  /** Whether a posting is left. */
  isOpen: boolean;

  /** The position of the current posting. */
  get position(): number {
    return this.#cursor.position;
  }

  /** Adds the scores of the postings from the current one to the window's end. */
  addTo(window: Window): void {
    const cursor = this.#cursor;
    const factor = this.#factor;
    const constant = this.#constant;
    const perTerm = this.#perTerm;
    const { sums, touched, start } = window;
    let count = window.count;
    let isOpen = true;
    for (;;) {
      const place = cursor.position - start;
      if (place >= WINDOW_CHUNKS) break;
      const { frequency } = cursor;
      if (sums[place] === 0) touched[count++] = place;
      sums[place]! += (factor * frequency) / (frequency + constant + perTerm * cursor.length);
      isOpen = cursor.advance();
      if (!isOpen) break;
    }
    window.count = count;
    this.isOpen = isOpen;
  }
}

/** The sums of a window's chunks fit into the processor's first-level cache. */
const WINDOW_CHUNKS = 2048;

interface Window {
  /** The position of the first sum. */
  start: number;
  sums: Float64Array;
  /** The indexes of the sums that are not 0. */
  touched: Uint16Array;
  count: number;
}

/**
 * Adds up a segment's scores, window by window. It skips windows without a posting, so it is quick for dense and for
 * sparse segments.
 */
function addScores(scorers: Scorer[], firstChunk: number, ranking: Ranking): void {
  const window: Window = {
    start: 0,
    sums: new Float64Array(WINDOW_CHUNKS),
    touched: new Uint16Array(WINDOW_CHUNKS),
    count: 0,
  };
  const { sums, touched } = window;
  let open = scorers.filter((scorer) => scorer.isOpen);
  while (open.length > 0) {
    let start = open[0]!.position;
    for (let i = 1; i < open.length; i++) start = Math.min(start, open[i]!.position);
    window.start = start;
    window.count = 0;
    let closed = false;
    for (let i = 0; i < open.length; i++) {
      open[i]!.addTo(window);
      if (!open[i]!.isOpen) closed = true;
    }
    for (let i = 0; i < window.count; i++) {
      const place = touched[i]!;
      ranking.add(firstChunk + start + place, sums[place]!);
      sums[place] = 0;
    }
    if (closed) open = open.filter((scorer) => scorer.isOpen);
  }
}
