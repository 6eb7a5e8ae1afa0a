import type { BenchmarkRecord } from "./records.ts";

/**
 * Records whose words have the frequencies of a natural language (Zipf's law), because the shape of an index depends
 * on them. The seed is fixed.
 */

const VOCABULARY = 50_000;
const SYLLABLES =
  "ba be bi bo da de di do ka ke ki ko la le li lo ma me mi mo na ne ni no ra re ri ro sa se si so".split(
    " ",
  );
const ENDINGS = ["", "", "", "s", "ed", "ing", "er", "ation"];

const WORDS = Array.from({ length: VOCABULARY }, (_, index) => {
  let word = "";
  for (let rest = index + SYLLABLES.length; rest > 0; rest = Math.floor(rest / SYLLABLES.length)) {
    word += SYLLABLES[rest % SYLLABLES.length];
  }
  return word + ENDINGS[index % ENDINGS.length];
});

/** A sequence of words, the same for the same seed. */
export class WordSource {
  #state: number;

  constructor(seed: number) {
    this.#state = seed * 2_654_435_761 + 1;
  }

  /** The next word; the word of rank r has a probability proportional to 1 / r. */
  next(): string {
    return WORDS[Math.floor(VOCABULARY ** this.#random()) - 1]!;
  }

  /** Words that have about this many characters together. */
  text(characters: number): string {
    let text = this.next();
    while (text.length < characters) text += ` ${this.next()}`;
    return text;
  }

  /** A number from 0 to 1 (mulberry32). */
  #random(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), 1 | this.#state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  }
}

/** Records of about 1 KB of text each. */
export function makeTexts(from: number, count: number): BenchmarkRecord[] {
  return Array.from({ length: count }, (_, index) => {
    const words = new WordSource(from + index);
    const data = { title: words.text(40), description: words.text(900), priority: index % 5 };
    return { id: `text_${String(from + index).padStart(9, "0")}`, data };
  });
}
