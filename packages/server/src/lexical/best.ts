/** A key and its score. */
export interface Scored {
  key: number;
  score: number;
}

/** Whether a score and key rank before another: a higher score first, then a lower key. */
export function isBetter(score: number, key: number, other: Scored): boolean {
  return score > other.score || (score === other.score && key < other.key);
}

/**
 * Keeps the best of all offered scores: a binary heap with the worst kept one on top.
 *
 * Source: Williams, "Algorithm 232: Heapsort", Communications of the ACM 7 (1964).
 */
export class Best {
  /** Scores below this need not be offered. */
  floor = Number.NEGATIVE_INFINITY;
  #count: number;
  #heap: Scored[] = [];

  /** @param count how many scores are kept */
  constructor(count: number) {
    this.#count = count;
    if (count <= 0) this.floor = Number.POSITIVE_INFINITY;
  }

  offer(key: number, score: number): void {
    const heap = this.#heap;
    if (heap.length < this.#count) {
      heap.push({ key, score });
      this.#rise(heap.length - 1);
    } else if (heap.length > 0 && isBetter(score, key, heap[0]!)) {
      const worst = heap[0]!;
      worst.key = key;
      worst.score = score;
      this.#sink();
    } else return;
    if (heap.length === this.#count) this.floor = heap[0]!.score;
  }

  /** The kept scores, best first. */
  sorted(): Scored[] {
    return this.#heap.toSorted((a, b) => (isBetter(a.score, a.key, b) ? -1 : 1));
  }

  #rise(from: number): void {
    const heap = this.#heap;
    const risen = heap[from]!;
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (isBetter(risen.score, risen.key, heap[parent]!)) break;
      heap[at] = heap[parent]!;
      at = parent;
    }
    heap[at] = risen;
  }

  #sink(): void {
    const heap = this.#heap;
    const sunk = heap[0]!;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      const right = heap[child + 1];
      if (right && isBetter(heap[child]!.score, heap[child]!.key, right)) child++;
      if (isBetter(heap[child]!.score, heap[child]!.key, sunk)) break;
      heap[at] = heap[child]!;
      at = child;
    }
    heap[at] = sunk;
  }
}
