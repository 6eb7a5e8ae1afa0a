import { type BreakPoints, findBreaks, type Heading, type SectionStart } from "./break-points.ts";
import { countTokens, isIdeographic, isLowSurrogate, TENTHS } from "./token-count.ts";

/** A text with a label, such as a field. */
export interface Section {
  /** The heading above its chunks; "" for none. */
  label: string;
  text: string;
}

/** A chunk of the sections' texts. */
export interface SectionChunk {
  /** The headings above it, as `label › heading › heading`; "" if there are none or the chunk begins with them. */
  context: string;
  text: string;
}

export interface ChunkOptions {
  /** The size of a chunk, which has 0.4 to 1.6 times as many tokens, or fewer in a short text. */
  tokens: number;
  /** Tokens that a chunk repeats from the one before, counted in `tokens`. */
  overlap: number;
  /** A heading that contexts leave out, because each chunk has it. */
  title?: string;
  /** The most chunks; the rest of the text is left out. */
  maxChunks: number;
}

/** The longest chunk, in sizes. */
const LONGEST = 1.6;
/** The share of `tokens` that a context may have. */
const CONTEXT_SHARE = 1 / 8;

const SEPARATOR = "\n\n";

/**
 * Divides texts into chunks of about the same size, at headings, paragraphs, sentences or words, in that order of
 * preference.
 *
 * Only the text near a boundary decides where it is: a chunk begins at a break that is the best of all within 0.4
 * sizes to either side, by what begins there and then by a hash. So an edit moves only boundaries near it, however much
 * text follows. (Local maximum chunking; Bjørner, Blass, Gurevich, "Content-Dependent Chunking for Differential
 * Compression, the Local Maximum Approach", 2010.) A chunk that would have more than 1.6 sizes is divided further.
 */
export function splitText(sections: Section[], options: ChunkOptions): SectionChunk[] {
  const { starts, text } = joinSections(sections);
  if (text.trim() === "") return [];
  const size = (options.tokens - options.overlap) * TENTHS;
  if (countTokens(text) <= Math.max(options.tokens * TENTHS, size * LONGEST))
    return [{ context: "", text: trimBlankLines(text) }];

  const breaks = findBreaks(text, starts, size / 2);
  const cuts = chooseCuts(breaks, size);
  const contexts = new Contexts(breaks.headings, options);
  const chunks: SectionChunk[] = [];
  let section = 0;
  let start = 0;
  for (const [i, cut] of cuts.entries()) {
    if (chunks.length === options.maxChunks) break;
    while (section < starts.length && starts[section]!.offset <= cut) section++;
    const earliest = Math.max(start, starts[section - 1]!.offset);
    start = options.overlap > 0 ? overlapStart(text, earliest, cut, options.overlap * TENTHS) : cut;
    const chunk = trimBlankLines(text.slice(start, cuts[i + 1]));
    const context = contexts.at(start);
    if (chunk !== "") chunks.push({ context, text: chunk });
  }
  return chunks;
}

function joinSections(sections: Section[]): { starts: SectionStart[]; text: string } {
  const starts: SectionStart[] = [];
  let text = "";
  for (const section of sections) {
    if (text !== "") text += SEPARATOR;
    starts.push({ offset: text.length, label: section.label });
    text += section.text;
  }
  return { starts, text };
}

/** Offsets at which chunks begin. @param size in tenths of tokens */
function chooseCuts({ offsets, tokensBefore, ranks, tokens }: BreakPoints, size: number): number[] {
  const reach = size * 0.4;
  const longest = size * LONGEST;
  const first = tokensBefore.findIndex((before) => before >= reach);
  const last = tokensBefore.findLastIndex((before) => tokens - before >= reach);
  const chosen = [0];
  if (first !== -1) {
    for (let i = first; i <= last; i++) {
      if (isBestAround(ranks, tokensBefore, i, first, last, reach)) chosen.push(i);
    }
  }

  const cuts: number[] = [];
  for (const [k, begin] of chosen.entries()) {
    const end = chosen[k + 1] ?? offsets.length;
    let at = begin;
    while (at !== -1) {
      cuts.push(offsets[at]!);
      at = divide(ranks, tokensBefore, at, end, tokensBefore[end] ?? tokens, size, longest);
    }
  }
  return cuts;
}

/** Whether no break within reach is better; of equal ones the first is best. It mostly takes a few steps. */
function isBestAround(
  ranks: number[],
  tokensBefore: number[],
  index: number,
  first: number,
  last: number,
  reach: number,
): boolean {
  const rank = ranks[index]!;
  const tokens = tokensBefore[index]!;
  for (let i = index - 1; i >= first && tokens - tokensBefore[i]! < reach; i--) {
    if (ranks[i]! <= rank) return false;
  }
  for (let i = index + 1; i <= last && tokensBefore[i]! - tokens < reach; i++) {
    if (ranks[i]! < rank) return false;
  }
  return true;
}

/** The index of the break at which a stretch that is too long should be divided first; -1 if it should not. */
function divide(
  ranks: number[],
  tokensBefore: number[],
  begin: number,
  end: number,
  endTokens: number,
  size: number,
  longest: number,
): number {
  const from = tokensBefore[begin]!;
  if (endTokens - from <= longest || begin + 1 === end) return -1;
  const shortest = size * 0.4;
  let best = -1;
  let distance = 0;
  for (let i = begin + 1; i < end && tokensBefore[i]! - from <= longest; i++) {
    if (tokensBefore[i]! - from < shortest || endTokens - tokensBefore[i]! < shortest) continue;
    const rank = ranks[i]!;
    const away = Math.abs(tokensBefore[i]! - from - size);
    if (best !== -1 && (rank > ranks[best]! || (rank === ranks[best] && away >= distance))) continue;
    best = i;
    distance = away;
  }
  return best === -1 ? begin + 1 : best;
}

/** Where a chunk begins that repeats up to `tokens` (in tenths) before its cut, in whole words. */
function overlapStart(text: string, earliest: number, cut: number, tokens: number): number {
  let start = cut;
  let left = tokens;
  for (;;) {
    let word = start;
    while (word > earliest && text.charCodeAt(word - 1) <= 32) word--;
    const wordEnd = word;
    while (word > earliest && text.charCodeAt(word - 1) > 32) {
      word--;
      if (isIdeographic(text.charCodeAt(word)) && !isLowSurrogate(text.charCodeAt(word))) break;
      if (wordEnd - word > tokens) return start;
    }
    left -= countTokens(text, word, wordEnd);
    if (left < 0 || word === wordEnd) return start;
    start = word;
  }
}

/** The headings above offsets of a text, which must be requested in ascending order. */
class Contexts {
  readonly #headings: Heading[];
  readonly #title: string | undefined;
  readonly #tokens: number;
  #next = 0;
  #above: Heading[] = [];

  constructor(headings: Heading[], { tokens, title }: ChunkOptions) {
    this.#headings = headings;
    this.#title = title;
    this.#tokens = tokens * TENTHS * CONTEXT_SHARE;
  }

  at(offset: number): string {
    while (this.#next < this.#headings.length && this.#headings[this.#next]!.offset <= offset) {
      const heading = this.#headings[this.#next]!;
      this.#above = this.#above.filter(({ depth }) => depth < heading.depth);
      // The chunk begins with this heading.
      if (heading.offset === offset) break;
      this.#above.push(heading);
      this.#next++;
    }
    // The nearest headings say the most, so they come first until there is no room.
    const shown: string[] = [];
    let left = this.#tokens;
    for (const { text } of this.#above.toReversed()) {
      if (text === "" || text === this.#title) continue;
      const tokens = countTokens(text);
      if (tokens > left) continue;
      left -= tokens;
      shown.unshift(text);
    }
    return shown.join(" › ");
  }
}

/** A text without the empty lines around it; an indented first line stays indented. */
function trimBlankLines(text: string): string {
  let start = 0;
  for (let i = 0; i < text.length && text.charCodeAt(i) <= 32; i++) {
    if (text.charCodeAt(i) === 10) start = i + 1;
  }
  return text.slice(start).trimEnd();
}
