import { countTokens, isIdeographic, isLowSurrogate } from "./token-count.ts";

/** Where a section of a text, such as a field, begins; its label is the heading above all its headings. */
export interface SectionStart {
  offset: number;
  label: string;
}

/** A heading, or a section's label (depth 0). */
export interface Heading {
  offset: number;
  depth: number;
  text: string;
}

/** Where chunks may begin. Each break depends only on the text near it, so that an edit moves no distant break. */
export interface BreakPoints {
  /** Ascending; the first is 0. */
  offsets: number[];
  /** Estimated tokens before each break, in tenths. */
  tokensBefore: number[];
  /** How good each break is; less is better: by what begins there, then by a hash of the text up to the next break. */
  ranks: number[];
  headings: Heading[];
  /** Estimated tokens of the whole text, in tenths. */
  tokens: number;
}

/** What begins at a break, best first. Headings have their depth, 1 to 6. */
const LEVEL = { section: 0, block: 7, line: 8, sentence: 9, words: 10 };
const HASHES = 2 ** 32;

/** A longer heading is not repeated above what follows it. */
const HEADING_CHARACTERS = 200;

/** One in this many places between words, or between characters of an unspaced script, is a break. */
const WORDS_PER_BREAK = 8;
/** In a word longer than this, breaks may be between any two characters. */
const RUN_CHARACTERS = 24;

/**
 * Finds where Markdown or plain text can be split: at headings and blocks, and within pieces longer than `pieceTokens`
 * at lines, then sentences, then words or characters. Punctuation ends a sentence: `Intl.Segmenter` knows abbreviations
 * better, but it is slow, and another version of ICU would move chunks and embed them again.
 * @param sections in order; the first begins at 0, and each begins a line
 * @param pieceTokens in tenths: neighbouring breaks are hardly further apart
 */
export function findBreaks(text: string, sections: SectionStart[], pieceTokens: number): BreakPoints {
  const finder = new BreakFinder(text, pieceTokens);
  for (const [i, { offset, label }] of sections.entries()) {
    finder.readSection(offset, sections[i + 1]?.offset ?? text.length, label);
  }
  return finder.finish();
}

class BreakFinder {
  readonly #text: string;
  readonly #pieceTokens: number;
  readonly #offsets: number[] = [];
  readonly #levels: number[] = [];
  readonly #headings: Heading[] = [];
  /** No break follows a heading, unless it, or a row of headings, is as long as a piece. */
  #afterHeading = false;
  #tokensSinceBreak = 0;

  constructor(text: string, pieceTokens: number) {
    this.#text = text;
    this.#pieceTokens = pieceTokens;
  }

  finish(): BreakPoints {
    const text = this.#text;
    const offsets = this.#offsets;
    const tokensBefore: number[] = [];
    const ranks: number[] = [];
    let tokens = 0;
    for (const [i, offset] of offsets.entries()) {
      const end = offsets[i + 1] ?? text.length;
      tokensBefore.push(tokens);
      ranks.push(this.#levels[i]! * HASHES + hashOf(text, offset, end));
      tokens += countTokens(text, offset, end);
    }
    return { offsets, tokensBefore, ranks, headings: this.#headings, tokens };
  }

  readSection(start: number, end: number, label: string): void {
    const text = this.#text;
    this.#headings.push({ offset: start, depth: 0, text: label });
    this.#afterHeading = false;
    this.#break(start, LEVEL.section, 0);

    let block = -1;
    let blockLines = 0;
    let fence = 0;
    const endBlock = (at: number) => {
      if (block !== -1) this.#readBlock(block, at);
      block = -1;
    };
    let next: number;
    for (let line = start; line < end; line = next) {
      const lineEnd = endOfLine(text, line, end);
      next = Math.min(lineEnd + 1, end);
      const first = skipSpaces(text, line, lineEnd);
      if (first === lineEnd) {
        endBlock(line);
        continue;
      }
      const mark = first - line <= 3 ? text.charCodeAt(first) : 0;
      const length = runLength(text, first, lineEnd);
      if ((mark === BACKTICK || mark === TILDE) && length >= 3) {
        if (fence === 0) {
          endBlock(line);
          fence = mark;
        } else if (fence === mark) {
          fence = 0;
          if (block === -1) block = line;
          endBlock(next);
          continue;
        }
      } else if (fence === 0 && mark === HASH && length <= 6 && isSpace(text, first + length, lineEnd)) {
        endBlock(line);
        this.#readHeading(line, next, length, headingText(text, first + length, lineEnd));
        continue;
      } else if (fence === 0 && block !== -1 && blockLines === 1 && length >= 3) {
        const underlines = mark === EQUALS || mark === DASH;
        if (underlines && skipSpaces(text, first + length, lineEnd) === lineEnd) {
          this.#readHeading(block, next, mark === EQUALS ? 1 : 2, headingText(text, block, line));
          block = -1;
          continue;
        }
      }
      if (block === -1) {
        block = line;
        blockLines = 0;
      }
      blockLines++;
    }
    endBlock(end);
  }

  #readHeading(start: number, end: number, depth: number, heading: string): void {
    this.#headings.push({ offset: start, depth, text: heading });
    this.#readPiece(start, end, depth, countTokens(this.#text, start, end));
    this.#afterHeading = true;
  }

  #readBlock(start: number, end: number): void {
    const tokens = countTokens(this.#text, start, end);
    if (tokens <= this.#pieceTokens) {
      this.#break(start, LEVEL.block, tokens);
      return;
    }
    let level = LEVEL.block;
    let next: number;
    for (let line = start; line < end; line = next) {
      next = Math.min(endOfLine(this.#text, line, end) + 1, end);
      this.#readPiece(line, next, level, countTokens(this.#text, line, next));
      level = LEVEL.line;
    }
  }

  /** Reads a line or a heading, which may be longer than a piece. */
  #readPiece(start: number, end: number, level: number, tokens: number): void {
    if (tokens <= this.#pieceTokens) {
      this.#break(start, level, tokens);
      return;
    }
    let sentenceLevel = level;
    let next: number;
    for (let sentence = start; sentence < end; sentence = next) {
      next = nextSentence(this.#text, sentence, end);
      const sentenceTokens = countTokens(this.#text, sentence, next);
      if (sentenceTokens <= this.#pieceTokens) this.#break(sentence, sentenceLevel, sentenceTokens);
      else this.#readWords(sentence, next, sentenceLevel);
      sentenceLevel = LEVEL.sentence;
    }
  }

  #readWords(start: number, end: number, level: number): void {
    const text = this.#text;
    let begin = start;
    let beginLevel = level;
    let tokens = 0;
    let run = 0;
    let next: number;
    for (let word = start; word < end; word = next) {
      next = nextWord(text, word, end, run);
      const closed = next === end || text.charCodeAt(next - 1) <= 32;
      run = closed ? 0 : run + next - word;
      tokens += countTokens(text, word, next);
      const isBreak = hashOf(text, word, next) % WORDS_PER_BREAK === 0 || tokens >= this.#pieceTokens / 4;
      if (!isBreak && next < end) continue;
      this.#break(begin, beginLevel, tokens);
      begin = next;
      beginLevel = LEVEL.words;
      tokens = 0;
    }
  }

  /** @param tokens of the piece that begins here, in tenths */
  #break(offset: number, level: number, tokens: number): void {
    const joins = this.#afterHeading && this.#tokensSinceBreak < this.#pieceTokens;
    this.#afterHeading = false;
    if (!joins && this.#offsets.at(-1) !== offset) {
      this.#offsets.push(offset);
      this.#levels.push(level);
      this.#tokensSinceBreak = 0;
    }
    this.#tokensSinceBreak += tokens;
  }
}

const HASH = 35;
const DASH = 45;
const EQUALS = 61;
const BACKTICK = 96;
const TILDE = 126;

/** The offset of the line's newline, or `end`. */
function endOfLine(text: string, line: number, end: number): number {
  const newline = text.indexOf("\n", line);
  return newline === -1 || newline > end ? end : newline;
}

function skipSpaces(text: string, from: number, end: number): number {
  let i = from;
  while (i < end && text.charCodeAt(i) <= 32) i++;
  return i;
}

const isSpace = (text: string, at: number, end: number) => at >= end || text.charCodeAt(at) <= 32;

/** A heading's text, without the marks that may follow it; "" if it is too long to be repeated. */
function headingText(text: string, start: number, end: number): string {
  let last = end;
  while (last > start && (isSpace(text, last - 1, end) || text.charCodeAt(last - 1) === HASH)) last--;
  return last - start > HEADING_CHARACTERS ? "" : text.slice(start, last).trim();
}

/** How often the character at `from` is repeated. */
function runLength(text: string, from: number, end: number): number {
  const unit = text.charCodeAt(from);
  let i = from + 1;
  while (i < end && text.charCodeAt(i) === unit) i++;
  return i - from;
}

/** `. ! ? …`, also Arabic and Devanagari: they end a sentence before a space that no small letter follows. */
const ENDS_BEFORE_SPACE = new Set([0x21, 0x2e, 0x3f, 0x2026, 0x61f, 0x6d4, 0x964]);
/** `。！？｡` always end a sentence. */
const ENDS = new Set([0x3002, 0xff01, 0xff1f, 0xff61]);
/** Quotes and brackets that may follow the end of a sentence: `" ' ) ] ” ’ » 」 』 ）`. */
const CLOSES = new Set([0x22, 0x27, 0x29, 0x5d, 0x201d, 0x2019, 0xbb, 0x300d, 0x300f, 0xff09]);

/** Where the sentence after the one at `from` begins, or `end`. */
function nextSentence(text: string, from: number, end: number): number {
  for (let i = from; i < end; i++) {
    const unit = text.charCodeAt(i);
    const endsAnywhere = unit > 0x3000 && ENDS.has(unit);
    if (!endsAnywhere && !ENDS_BEFORE_SPACE.has(unit)) continue;
    let after = i + 1;
    while (after < end && CLOSES.has(text.charCodeAt(after))) after++;
    const next = skipSpaces(text, after, end);
    if (endsAnywhere || next === end) return next;
    const follows = text.charCodeAt(next);
    if (next > after && !(follows >= 97 && follows <= 122)) return next;
    i = after - 1;
  }
  return end;
}

/** Characters that join the one before: marks, such as accents and vowel signs, and the joiner of emoji. */
const JOINS_BACKWARDS = /\p{M}|\u200d/u;

/**
 * The end of the word at `from` and of the space after it. A character of an unspaced script is a word, and so is each
 * further character of a word longer than {@link RUN_CHARACTERS}.
 * @param run the number of the word's characters before `from`
 */
function nextWord(text: string, from: number, end: number, run: number): number {
  let i = from;
  while (i < end) {
    const unit = text.charCodeAt(i);
    if (unit <= 32) return skipSpaces(text, i, end);
    if (i > from && isIdeographic(unit) && !isLowSurrogate(unit)) return i;
    i++;
    while (i < end && joinsBackwards(text.charCodeAt(i))) i++;
    const alone = isIdeographic(unit) || run + i - from >= RUN_CHARACTERS;
    if (alone && !isSpace(text, i, end)) return i;
  }
  return end;
}

const joinsBackwards = (unit: number) =>
  unit >= 0x300 &&
  (isLowSurrogate(unit) || (!isIdeographic(unit) && JOINS_BACKWARDS.test(String.fromCharCode(unit))));

/** A hash of a text without its white space: FNV-1a over UTF-16 units, with the last mixing of MurmurHash3. */
function hashOf(text: string, start: number, end: number): number {
  let hash = 0x811c9dc5;
  for (let i = start; i < end; i++) {
    const unit = text.charCodeAt(i);
    if (unit > 32) hash = Math.imul(hash ^ unit, 0x01000193);
  }
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return (hash ^ (hash >>> 16)) >>> 0;
}
