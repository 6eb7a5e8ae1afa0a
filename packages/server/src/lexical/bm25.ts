import { Best, type Scored } from "./best.ts";
import { type EncodedPostings, PostingsCursor } from "./postings.ts";

/** How soon more occurrences of a term in a chunk stop to count. */
export const K1 = 1.2;
/** How far a chunk's length counts against it. */
export const B = 0.75;

/** What ranking must know of all chunks together. */
export interface Collection {
  /** How many live chunks there are. */
  chunks: number;
  /** Their average length, in terms. */
  averageLength: number;
}

export interface QueryTerm {
  /** How often the query has the term; above 0. */
  weight: number;
  /** The term's postings in each segment that has it, and the number of the segment's first chunk. */
  lists: { postings: EncodedPostings; firstChunk: number }[];
}

/**
 * Ranks chunks by BM25: the sum over the query's terms of
 * `weight * idf * f / (f + k1 * (1 - b + b * length / averageLength))`,
 * where `idf = ln(1 + (N - n + 0.5) / (n + 0.5))` for a term in n of N chunks. As in Lucene, idf is never negative, and
 * the factor `k1 + 1`, which is the same for all, is left out.
 *
 * Postings of dead chunks are scored too, and counted in n until they are merged away: the caller leaves out what is
 * not live. How chunks are spread over segments makes no difference to their scores, not in the last bit.
 *
 * Source: Robertson, Zaragoza, "The Probabilistic Relevance Framework: BM25 and Beyond", Foundations and Trends in
 * Information Retrieval 3 (2009).
 *
 * @param terms distinct; in an order that depends on the query alone, because sums of doubles depend on it
 * @param allowed where given, no other chunks: their numbers, or a byte for each number that is not zero
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
      const others = segments.get(list.firstChunk);
      if (others) others.push(scorer);
      else segments.set(list.firstChunk, [scorer]);
    }
    postings += counted;
  }
  const ranking = new Ranking(postings, allowed);
  for (const [firstChunk, scorers] of segments) addScores(scorers, firstChunk, ranking);
  return ranking;
}

/** Chunks that were found, best first: of equal scores, the lower number. */
export class Ranking {
  #chunks: Float64Array;
  #scores: Float64Array;
  #found = 0;
  #allowed: ReadonlySet<number> | Uint8Array | undefined;
  #last: Scored = { key: -1, score: Number.POSITIVE_INFINITY };

  /** @param most how many chunks there may be */
  constructor(most: number, allowed?: ReadonlySet<number> | Uint8Array) {
    this.#chunks = new Float64Array(most);
    this.#scores = new Float64Array(most);
    this.#allowed = allowed;
  }

  add(chunk: number, score: number): void {
    this.#chunks[this.#found] = chunk;
    this.#scores[this.#found++] = score;
  }

  /**
   * The next chunks; fewer than asked for where there are no more. Each call goes through all scores, which is quicker
   * than to sort them for a caller who mostly wants few: to ask for more and more each time keeps such calls few.
   */
  take(count: number): { chunk: number; score: number }[] {
    const chunks = this.#chunks;
    const scores = this.#scores;
    const best = new Best(count);
    for (let i = 0; i < this.#found; i++) {
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

/** Goes through a term's postings in a segment, with the score that each adds. */
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

  /** Whether there is a posting left. */
  isOpen: boolean;

  /** The position of the current posting. */
  get position(): number {
    return this.#cursor.position;
  }

  /** Adds the scores of the postings from here up to a window's end. */
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

/** The chunks of a window have their sums in the processor's first cache. */
const WINDOW_CHUNKS = 2048;

interface Window {
  /** The position that the first sum is for. */
  start: number;
  sums: Float64Array;
  /** Places of the sums that are not 0. */
  touched: Uint16Array;
  count: number;
}

/**
 * Adds up a segment's scores, window by window; windows without a posting are passed over. So it is quick where chunks
 * are close together, and also where few are left of many.
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
