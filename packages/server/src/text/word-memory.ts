/** The number of words in memory, a power of two; they take about 2 MB. */
const WORDS_MAX = 1 << 15;
/** Longer words are not remembered, because they rarely recur. */
const CHARACTERS_MAX = 32;

/** The hash of an empty word. */
export const EMPTY_HASH = 17;

/** The hash of a word after one more UTF-16 unit. */
export function hashUnit(hash: number, unit: number): number {
  return (Math.imul(hash, 31) + unit) | 0;
}

/**
 * Caches a function's results for recent words. Callers pass a word as a range of its text and a hash that they compute
 * while reading: slicing the word out and looking it up in a `Map` takes longer than the rest of the reading. A hash
 * has two slots; a new word takes the first and moves the word there to the second.
 */
export class WordMemory {
  readonly #answer: (word: string) => string;
  readonly #words: string[] = new Array(WORDS_MAX).fill("");
  readonly #answers: string[] = new Array(WORDS_MAX).fill("");

  constructor(answer: (word: string) => string) {
    this.#answer = answer;
  }

  /** The function's result for the word from `start` to `end`. @param hash the hash of the word's units */
  at(text: string, start: number, end: number, hash: number): string {
    const first = (hash ^ (hash >>> 15)) & (WORDS_MAX - 2);
    if (isAt(this.#words[first]!, text, start, end)) return this.#answers[first]!;
    const second = first + 1;
    const isKnown = isAt(this.#words[second]!, text, start, end);
    const word = isKnown ? this.#words[second]! : copyOf(text.slice(start, end));
    const answer = isKnown ? this.#answers[second]! : this.#answer(word);
    if (word.length <= CHARACTERS_MAX) {
      this.#words[second] = this.#words[first]!;
      this.#answers[second] = this.#answers[first]!;
      this.#words[first] = word;
      this.#answers[first] = answer;
    }
    return answer;
  }

  /** The function's result for a word. */
  of(word: string): string {
    let hash = EMPTY_HASH;
    for (let i = 0; i < word.length; i++) hash = hashUnit(hash, word.charCodeAt(i));
    return this.at(word, 0, word.length, hash);
  }
}

function isAt(word: string, text: string, start: number, end: number): boolean {
  if (word.length !== end - start) return false;
  for (let i = 0; i < word.length; i++) {
    if (word.charCodeAt(i) !== text.charCodeAt(start + i)) return false;
  }
  return true;
}

/** Copies a slice, because a slice of 13 or more characters keeps its whole text in memory. */
function copyOf(slice: string): string {
  return slice.length < 13 ? slice : Buffer.from(slice, "utf16le").toString("utf16le");
}
