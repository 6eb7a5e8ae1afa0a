import { type BreakPoints, findBreaks, type Heading, type SectionStart } from "./break-points.ts";
import { countTokens, isIdeographic, isLowSurrogate, TENTHS } from "./token-count.ts";

/** A text of its own, such as a field. */
export interface Section {
  /** What stands above its chunks; "" for nothing. */
  label: string;
  text: string;
}

/** A chunk of the sections' texts, as they are. */
export interface SectionChunk {
  /** What it stands under, as `label › heading › heading`; "" if it begins with that itself, or there is nothing. */
  context: string;
  text: string;
}

export interface ChunkOptions {
  /** About how many tokens a chunk has: 0.4 to 1.6 times as many, or all of a text that is short. */
  tokens: number;
  /** Tokens that a chunk repeats of the one before, counted in `tokens`. */
  overlap: number;
  /** A heading that is known anyway: it is left out of contexts. */
  title?: string;
  /** Chunks beyond these are not made. */
  maxChunks: number;
}

/** A chunk has so many sizes, or less. */
const LONGEST = 1.6;
/** Of `tokens`, what a context may have. */
const CONTEXT_SHARE = 1 / 8;

const SEPARATOR = "\n\n";

/**
 * Divides texts into chunks of about the same size, at headings, paragraphs, sentences or words, in that order of
 * preference.
 *
 * Where a chunk begins is decided by the text near that place alone: it is the best of all breaks less than 0.4 sizes
 * away, to either side, by what begins there and then by its hash. So an edit moves no boundary further away than that,
 * however much text follows. (Local maximum chunking; Bjørner, Blass, Gurevich, "Content-Dependent Chunking for
 * Differential Compression, the Local Maximum Approach", 2010.) Where that leaves more than 1.6 sizes in one chunk, it
 * is divided within itself.
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

/**
 * The first of equals is the best. Nearly always decided within a few steps: a better one is found, or the reach ends.
 */
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

/** Where the first chunk of a stretch that is too long should end: an index between `begin` and `end`, or -1. */
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

/** Where a chunk begins that repeats up to `tokens` (tenths) before its cut: at a word. */
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

/** The headings above places of a text, which are asked for in order. */
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
      // The chunk says this one itself.
      if (heading.offset === offset) break;
      this.#above.push(heading);
      this.#next++;
    }
    // The nearest say the most: as many as there is room for.
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

/** Without the empty lines around; an indented first line stays so. */
function trimBlankLines(text: string): string {
  let start = 0;
  for (let i = 0; i < text.length && text.charCodeAt(i) <= 32; i++) {
    if (text.charCodeAt(i) === 10) start = i + 1;
  }
  return text.slice(start).trimEnd();
}
