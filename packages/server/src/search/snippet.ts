/** A part of a text, in UTF-16 units: from `start` up to, but without, `end`. */
export interface Span {
  start: number;
  end: number;
}

export interface Snippet {
  /** One line, with `…` where something was left out. */
  text: string;
  /** What matches the query in it, in order, apart from each other. */
  spans: Span[];
}

/** A word, or two characters of a text without spaces, and the query's term that it stands for. */
interface Match extends Span {
  term: string;
}

/** Long words are rare ones, roughly; beyond this many characters it makes no difference. */
const WEIGHTY_CHARACTERS = 8;

/**
 * The stretch of a chunk that shows best why it was found: the one with the most terms of the query, and of these the
 * longest. White space and control characters become single spaces, so that it can be printed.
 *
 * @param tokensOf the terms of a text, as both the chunk and the query were searched by
 * @param characters of the chunk at most, in UTF-16 units; `Infinity` for all of it
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

/** A snippet's text with `mark` around each span, such as one that makes it bold. */
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
/** What surrounds a word and is no part of it; `C++` and `#42` keep their signs. */
const PUNCTUATION = String.raw`[\p{Ps}\p{Pe}\p{Pi}\p{Pf}\p{So}"'.,;:!?…*_~|、。]`;
const AROUND = new RegExp(`^${PUNCTUATION}+|(?<!${PUNCTUATION})${PUNCTUATION}+$`, "gu");

/** Everything in a text that has a term in common with the query, in order; matches may overlap. */
function findMatches(text: string, query: string, tokensOf: (text: string) => string[]): Match[] {
  const queryTerms = new Set(tokensOf(query));
  // Between spaces, so with identifiers in one piece.
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
          // A word of several terms would be marked for one pair of its characters.
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

/** What stands between spaces, without the punctuation around it. */
function piecesOf(text: string): Piece[] {
  return [...text.matchAll(/\S+/gu)].flatMap(({ 0: piece, index }) => {
    const bare = piece.replace(AROUND, "");
    return bare === "" ? [] : [{ text: bare, start: index + piece.indexOf(bare) }];
  });
}

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });
const words = new Intl.Segmenter(undefined, { granularity: "word" });

/** What a term may stand for where no spaces part the words: a character, two of them, or a word of a dictionary. */
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

/** From which match to which the terms weigh most, each counted once; the first such window. */
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

/**
 * Widens a window to so many characters, about as many before as after it, and to whole words where there are spaces.
 */
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
