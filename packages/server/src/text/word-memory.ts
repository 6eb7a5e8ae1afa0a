/** Words that are remembered; a power of two. Full, it has about 2 MB. */
const WORDS_MAX = 1 << 15;
/** Longer words seldom come again. */
const CHARACTERS_MAX = 32;

/** A hash of no characters, to begin with. */
export const EMPTY_HASH = 17;

/** The hash of a word and one more UTF-16 unit. */
export function hashUnit(hash: number, unit: number): number {
  return (Math.imul(hash, 31) + unit) | 0;
}

/**
 * What a function says of words, remembered for those that came last. It is asked for words where they stand in a text,
 * with the hash that the reader made in passing: to cut a word out of its text and look it up in a `Map` takes longer
 * than all the rest of reading it. A word's hash gives it two places; a new word takes the first, and what was there
 * the second.
 */
export class WordMemory {
  readonly #answer: (word: string) => string;
  readonly #words: string[] = new Array(WORDS_MAX).fill("");
  readonly #answers: string[] = new Array(WORDS_MAX).fill("");

  constructor(answer: (word: string) => string) {
    this.#answer = answer;
  }

  /** What the function says of the word from `start` to `end`. @param hash of the word's units */
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

  /** What the function says of a word by itself. */
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

/** A slice of a text keeps all of the text in memory, unless it is so short that the engine copies it. */
function copyOf(slice: string): string {
  return slice.length < 13 ? slice : Buffer.from(slice, "utf16le").toString("utf16le");
}
