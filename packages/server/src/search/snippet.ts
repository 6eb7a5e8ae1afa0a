/** A part of a text in UTF-16 units; `end` is exclusive. */
export interface Span {
  start: number;
  end: number;
}

export interface Snippet {
  /** One line, with `…` where something was left out. */
  text: string;
  /** The matches of the query in `text`, in order, without overlaps. */
  spans: Span[];
}

/** A word, or two characters of a text without spaces, with the query's term that it matches. */
interface Match extends Span {
  term: string;
}

/** Longer words weigh more, because they are rarer; beyond this many characters the weight stays the same. */
const WEIGHTY_CHARACTERS = 8;

/**
 * The stretch of a chunk that shows best why search found it: the one with the most and the longest terms of the query.
 * White space and control characters become single spaces, so that a terminal can print it.
 *
 * @param tokensOf returns the terms of a text, as the search made them
 * @param characters the greatest length in UTF-16 units without ellipses; `Infinity` for the whole chunk
 */
export function snippetOf(
  chunk: string,
  query: string,
  tokensOf: (text: string) => string[],
  characters: number,
): Snippet {
  const text = chunk.replace(/[\s\p{Cc}]+/gu, " ").trim();
  const matches = findMatches(text, query, tokensOf);
  const { start, end } =
    text.length <= characters
      ? { start: 0, end: text.length }
      : stretchAround(text, bestWindow(matches, characters), characters);
  const before = start > 0 ? "…" : "";
  const shift = before.length - start;
  const spans = joinSpans(matches.filter((match) => match.start >= start && match.end <= end));
  return {
    text: before + text.slice(start, end) + (end < text.length ? "…" : ""),
    spans: spans.map((span) => ({ start: span.start + shift, end: span.end + shift })),
  };
}

/** A snippet's text with `mark` applied to each span, for example to make it bold. */
export function markSpans({ text, spans }: Snippet, mark: (word: string) => string): string {
  let marked = "";
  let at = 0;
  for (const { start, end } of spans) {
    marked += text.slice(at, start) + mark(text.slice(start, end));
    at = end;
  }
  return marked + text.slice(at);
}

const UNSPACED = String.raw`\p{Script_Extensions=Han}\p{Script_Extensions=Hiragana}\p{Script_Extensions=Katakana}\p{Script=Hangul}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}`;
/** A run in a script without spaces, or a word with its apostrophes. */
const WORD = new RegExp(
  String.raw`(?<unspaced>(?:(?=[\p{L}\p{N}\p{M}])[${UNSPACED}]\p{M}*)+)|(?:(?![${UNSPACED}])[\p{L}\p{N}\p{M}])+(?:['’](?:(?![${UNSPACED}])[\p{L}\p{N}\p{M}])+)*`,
  "gu",
);
/** Characters around a word that do not belong to it; `C++` and `#42` keep their signs. */
const PUNCTUATION = String.raw`[\p{Ps}\p{Pe}\p{Pi}\p{Pf}\p{So}"'.,;:!?…*_~|、。]`;
const AROUND = new RegExp(`^${PUNCTUATION}+|(?<!${PUNCTUATION})${PUNCTUATION}+$`, "gu");

/** All words of a text that share a term with the query, in order; matches may overlap. */
function findMatches(text: string, query: string, tokensOf: (text: string) => string[]): Match[] {
  const queryTerms = new Set(tokensOf(query));
  // Pieces between spaces keep identifiers whole.
  const pieces = new Map(piecesOf(query).map(({ text }) => [tokensOf(text).join("\n"), text]));
  pieces.delete("");
  const matches: Match[] = [];
  const tryMatch = (word: string, start: number, terms = tokensOf(word)) => {
    const term = terms.find((term) => queryTerms.has(term));
    if (term !== undefined) matches.push({ start, end: start + word.length, term });
  };
  for (const piece of piecesOf(text)) {
    const words = [...piece.text.matchAll(WORD)];
    const identifier = words[0]?.[0] !== piece.text && pieces.get(tokensOf(piece.text).join("\n"));
    if (identifier) {
      matches.push({ start: piece.start, end: piece.start + piece.text.length, term: identifier });
      continue;
    }
    if (words.length === 0) tryMatch(piece.text, piece.start);
    for (const word of words) {
      const start = piece.start + word.index;
      const terms = tokensOf(word[0]);
      if (!word.groups!.unspaced || terms.length < 2) tryMatch(word[0], start, terms);
      else {
        for (const part of partsOf(word[0])) {
          const terms = tokensOf(part.text);
          // A word of several terms matches only if the query has all of them, not for one pair of characters.
          if (terms.every((term) => queryTerms.has(term))) tryMatch(part.text, start + part.start, terms);
        }
      }
    }
  }
  return matches.sort((a, b) => a.start - b.start || a.end - b.end);
}

interface Piece {
  text: string;
  start: number;
}

/** The pieces of a text between spaces, without the punctuation around them. */
function piecesOf(text: string): Piece[] {
  return [...text.matchAll(/\S+/gu)].flatMap(({ 0: piece, index }) => {
    const bare = piece.replace(AROUND, "");
    return bare === "" ? [] : [{ text: bare, start: index + piece.indexOf(bare) }];
  });
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const words = new Intl.Segmenter(undefined, { granularity: "word" });

/** The parts of an unspaced run that a term may be: each character, each pair of them, each dictionary word. */
function partsOf(run: string): Piece[] {
  const characters = [...graphemes.segment(run)].map(({ segment, index }) => ({
    text: segment,
    start: index,
  }));
  const pairs = characters.slice(1).map(({ text }, i) => {
    const first = characters[i]!;
    return { text: first.text + text, start: first.start };
  });
  const dictionaryWords = [...words.segment(run)].map(({ segment, index }) => ({
    text: segment,
    start: index,
  }));
  return [...characters, ...pairs, ...dictionaryWords];
}

/** The first window of matches whose terms, each counted once, weigh most. */
function bestWindow(matches: Match[], characters: number): Span {
  let best = { start: 0, end: 0 };
  let bestWeight = 0;
  for (let first = 0; first < matches.length; first++) {
    const { start } = matches[first]!;
    const terms = new Set<string>();
    let weight = 0;
    let end = start;
    for (let i = first; i < matches.length && matches[i]!.end - start <= characters; i++) {
      const { term } = matches[i]!;
      end = Math.max(end, matches[i]!.end);
      if (terms.has(term)) continue;
      terms.add(term);
      weight += Math.min(term.length, WEIGHTY_CHARACTERS);
    }
    if (weight > bestWeight) [best, bestWeight] = [{ start, end }, weight];
  }
  return best;
}

/** Widens a window to at most `characters`, evenly to both sides, and to whole words if there are spaces. */
function stretchAround(text: string, window: Span, characters: number): Span {
  const spare = characters - (window.end - window.start);
  let start = Math.max(0, Math.min(window.start - Math.floor(spare / 2), text.length - characters));
  if (start > 0 && text[start - 1] !== " ") {
    const space = text.indexOf(" ", start);
    if (space >= 0 && space < window.start) start = space + 1;
  }
  let end = Math.min(text.length, start + characters);
  if (end < text.length && text[end] !== " ") {
    const space = text.lastIndexOf(" ", end);
    if (space >= window.end && space > start) end = space;
  }
  if (isSecondHalf(text, start)) start++;
  if (isSecondHalf(text, end)) end--;
  while (start < window.start && text[start] === " ") start++;
  while (end > window.end && text[end - 1] === " ") end--;
  return { start, end };
}

/** Whether a surrogate pair would be cut here. */
const isSecondHalf = (text: string, at: number) => (text.charCodeAt(at) & 0xfc00) === 0xdc00;

/** Spans that overlap or touch become one. */
function joinSpans(spans: Span[]): Span[] {
  const joined: Span[] = [];
  for (const { start, end } of spans) {
    const last = joined.at(-1);
    if (last && start <= last.end) last.end = Math.max(last.end, end);
    else joined.push({ start, end });
  }
  return joined;
}
