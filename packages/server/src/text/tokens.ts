import {
  APOSTROPHE,
  DIGIT,
  isWordKind,
  JOINER,
  kindAt,
  LOWER,
  OTHER,
  TRAIL,
  UNSPACED,
  UNSPACED_MARK,
  UPPER,
} from "./characters.ts";
import type { Language } from "./settings.ts";
import { fold, isAscii, loadStemmer, type Stemmer } from "./stemming.ts";
import { withoutStopWords } from "./stop-words.ts";
import { EMPTY_HASH, hashUnit, WordMemory } from "./word-memory.ts";

/**
 * Returns the terms of a text, in order; a query finds the texts that share terms with it.
 *
 * A word becomes its stem, in lower case and without accents. An identifier of several parts becomes its parts and one
 * more term for the whole: `task_123`, `task-123` and `task123` share the term task123, `userId` and `user_id` share
 * userid; `node.js` and `10.0.0.1` stay as they are written. The term of the whole counts in a text's length: it is
 * rare, and counting it apart would cost every caller a second number. Chinese, Japanese, Korean and Thai become pairs
 * of neighbouring characters; each Chinese character is a term too.
 */
export type Analyzer = (text: string) => string[];

/**
 * The most UTF-8 bytes of a term. A longer one is a hash, a path or a key; it is cut and not left out, because its
 * beginning still tells it from others.
 */
export const TERM_BYTES_MAX = 64;
/** The most terms of one text, far more than a chunk has; further ones are left out. */
export const TERMS_MAX = 100_000;

const analyzers = new Map<Language, Promise<Analyzer>>();

/** The analyzer of texts in a language; all callers share it and its memory of words. */
export function analyzerFor(language: Language): Promise<Analyzer> {
  let analyzer = analyzers.get(language);
  if (!analyzer) {
    analyzer = loadStemmer(language).then((stem) =>
      makeAnalyzer(new WordMemory((word) => termOf(word, stem, language))),
    );
    analyzers.set(language, analyzer);
  }
  return analyzer;
}

/** The analyzer of queries in a language: it leaves out stop words unless the query has nothing else. */
export async function queryAnalyzerFor(language: Language): Promise<Analyzer> {
  const analyze = await analyzerFor(language);
  return (query) => {
    const terms = analyze(withoutStopWords(query, language));
    return terms.length > 0 ? terms : analyze(query);
  };
}

/** The term of a word, which may have apostrophes; "" if the word has only marks. */
function termOf(word: string, stem: Stemmer, language: Language): string {
  // Turkish has two letters i, and the stemmer knows which.
  const lower = language === "turkish" ? word.toLocaleLowerCase("tr") : word.toLowerCase();
  if (/^[a-z]+$/.test(lower)) return cut(stem(cut(lower)));
  const bare = withoutApostrophes(lower, language);
  return cut(/\p{N}/u.test(bare) ? fold(bare) : stem(cut(bare)));
}

const APOSTROPHES = /['’‘ʼʻ]/;
/** Articles and other words that lose their last vowel before a vowel: l'avion, dell'arte. */
const ELIDED =
  /^(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu|quoiqu|un|gl|quest|(?:a|da|de|ne|su|co)(?:ll|gl))'(?=..)/;

/**
 * Makes "avion" of "l'avion", "john" of "John's" and "dont" of "don't", in any language, because a store may have texts
 * in several.
 */
function withoutApostrophes(word: string, language: Language): string {
  if (!APOSTROPHES.test(word)) return word;
  const plain = word.replace(/['’‘ʼʻ]/g, "'");
  // In Turkish, an apostrophe separates a name from its ending: Ankara'nın.
  if (language === "turkish") return plain.replace(/(?<=..)'.*/, "");
  const bare = plain.replace(ELIDED, "").replace(/'(?:s|ll|re|ve|d|m)$/, "");
  return bare.replaceAll("'", "");
}

/** The first {@link TERM_BYTES_MAX} bytes of a term. */
function cut(term: string): string {
  // A unit has three bytes at most.
  if (term.length * 3 <= TERM_BYTES_MAX || Buffer.byteLength(term) <= TERM_BYTES_MAX) return term;
  const { read } = new TextEncoder().encodeInto(term, new Uint8Array(TERM_BYTES_MAX));
  return term.slice(0, read);
}

function makeAnalyzer(words: WordMemory): Analyzer {
  return (text) => {
    const terms = scan(isAscii(text) ? text : normalize(text), words);
    return terms.includes("") ? terms.filter((term) => term !== "") : terms;
  };
}

/** A text in one normal form, without characters that only control the joining, look or breaking of words. */
function normalize(text: string): string {
  return text
    .replace(/[™℠]/g, " ")
    .normalize("NFKC")
    .replace(/\u00ad|\u200c|\u200d|\u2060|\ufeff|\u20e3|[\ufe00-\ufe0f]/g, "")
    .replace(/[٠-٩۰-۹०-९০-৯๐-๙]/g, (digit) => `${DIGITS.indexOf(digit) % 10}`);
}

/** The digits of Arabic, Persian, Hindi, Bengali and Thai. */
const DIGITS = "٠١٢٣٤٥٦٧٨٩۰۱۲۳۴۵۶۷۸۹०१२३४५६७८९০১২৩৪৫৬৭৮৯๐๑๒๓๔๕๖๗๘๙";

function scan(text: string, words: WordMemory): string[] {
  const terms: string[] = [];
  let at = 0;
  while (at < text.length && terms.length < TERMS_MAX) {
    const kind = kindAt(text, at);
    if (isWordKind(kind)) at = scanWord(text, at, terms, words);
    else if (kind === UNSPACED) at = scanUnspaced(text, at, terms);
    else at++;
  }
  if (terms.length > TERMS_MAX) terms.length = TERMS_MAX;
  return terms;
}

/** Which joiners an identifier has, as bits. */
const HYPHEN = 1;
const UNDERSCORE = 2;
const DOT = 4;
const JOINER_BITS: Record<string, number> = { "-": HYPHEN, _: UNDERSCORE, ".": DOT, "@": 8, "&": 16 };
/** The places at which userName and parseJSON are split; mRNA, McDonald, IgG and lacZ are not. */
const HUMP = /(?<=\p{Ll}{2})(?=\p{Lu}\p{Ll})|(?<=\p{Ll}{3})(?=\p{Lu}{2})/u;

/** Adds the terms of the word or identifier that begins at `start`; returns where it ends. */
function scanWord(text: string, start: number, terms: string[], words: WordMemory): number {
  const firstTerm = terms.length;
  const shape: Shape = { kinds: 0, joiners: 0, hasHump: false, shortest: Number.POSITIVE_INFINITY };
  let at = start;
  for (;;) {
    const partStart = at;
    let hash = EMPTY_HASH;
    let kinds = 0;
    let hasHump = false;
    let kind = kindAt(text, at);
    for (let before = OTHER; ; kind = kindAt(text, ++at)) {
      if (kind === APOSTROPHE ? !isWordKind(kindAt(text, at + 1)) : kind !== TRAIL && !isWordKind(kind))
        break;
      if (kind === UPPER && before === LOWER) hasHump = true;
      before = kind;
      kinds |= 1 << kind;
      hash = hashUnit(hash, text.charCodeAt(at));
    }
    if (kinds === 1 << DIGIT) terms.push(cut(fold(text.slice(partStart, at))));
    else if (!hasHump) terms.push(words.at(text, partStart, at, hash));
    else {
      const pieces = text.slice(partStart, at).split(HUMP);
      for (const piece of pieces) terms.push(words.of(piece));
      shape.hasHump ||= pieces.length > 1;
    }

    shape.kinds |= kinds;
    shape.shortest = Math.min(shape.shortest, at - partStart);
    if (kind !== JOINER || !isWordKind(kindAt(text, at + 1))) break;
    shape.joiners |= JOINER_BITS[text[at]!]!;
    at++;
  }
  if (terms.length > firstTerm + 1) addWhole(text.slice(start, at), shape, firstTerm, terms, words);
  const next = at < text.length ? text.charCodeAt(at) : 0;
  if (next === PLUS || next === HASH) addWithSigns(text.slice(start, at + 3), terms);
  return at;
}

/** Properties of an identifier's parts. */
interface Shape {
  /** The kinds of their characters, as bits. */
  kinds: number;
  joiners: number;
  hasHump: boolean;
  /** The length of the shortest part, in UTF-16 units. */
  shortest: number;
}

/** Adds the term of a whole identifier to its parts in `terms` from `firstTerm` on, or replaces them by it. */
function addWhole(whole: string, shape: Shape, firstTerm: number, terms: string[], words: WordMemory): void {
  const { kinds, joiners, hasHump, shortest } = shape;
  const hasDigit = (kinds & (1 << DIGIT)) !== 0;
  const hasLetter = (kinds & ((1 << LOWER) | (1 << UPPER))) !== 0;
  if (joiners === DOT) {
    const isDecimal = !hasLetter && terms.length === firstTerm + 2;
    // U.S.A. becomes USA.
    const isAbbreviation = shortest === 1 && /^\p{L}(?:\.\p{L})+$/u.test(whole);
    if (isDecimal || isAbbreviation) {
      terms.length = firstTerm;
      terms.push(isDecimal ? cut(fold(whole)) : words.of(whole.replaceAll(".", "")));
      return;
    }
    // v1.2.3 becomes 1.2.3.
    if (/^v\p{N}+\./iu.test(whole)) {
      terms[firstTerm] = terms[firstTerm]!.slice(1);
      whole = whole.slice(1);
    }
  }
  if ((joiners & ~(HYPHEN | UNDERSCORE)) !== 0 || !hasLetter) terms.push(cut(fold(whole.toLowerCase())));
  // Plain words joined by a hyphen, such as "long-term", get no term for the whole; but e-mail gets email.
  else if (joiners !== HYPHEN || shortest === 1 || hasDigit || hasHump) {
    terms.push(words.of(whole.replace(/[-_]/g, "")));
  }
}

const PLUS = "+".charCodeAt(0);
const HASH = "#".charCodeAt(0);

/** Adds C++ or C# as a term next to C. @param word the word with up to three characters after it */
function addWithSigns(word: string, terms: string[]): void {
  const signed = /^\p{L}(?:\+\+|#)(?!\p{L}|\p{N})/u.exec(word)?.[0];
  if (signed) terms.push(signed.toLowerCase());
}

/** Adds the terms of the run without spaces that begins at `start`; returns where it ends. */
function scanUnspaced(text: string, start: number, terms: string[]): number {
  let at = start;
  while (kindAt(text, at) === UNSPACED && terms.length < TERMS_MAX) {
    const next = characterEnd(text, at);
    const hasNext = kindAt(text, next) === UNSPACED;
    // A Chinese character is nearly a word; a single kana means little.
    if (isHan(text.charCodeAt(at)) || (at === start && !hasNext)) terms.push(cut(text.slice(at, next)));
    if (hasNext) terms.push(cut(text.slice(at, characterEnd(text, next))));
    at = next;
  }
  return at;
}

/** The end of the character at an offset, with its marks. */
function characterEnd(text: string, at: number): number {
  let end = at + 1;
  for (let kind = kindAt(text, end); kind === TRAIL || kind === UNSPACED_MARK; kind = kindAt(text, end))
    end++;
  return end;
}

/** Whether a UTF-16 unit begins a Chinese character, which may be a pair; signs that only repeat or lengthen do not. */
const isHan = (unit: number) => (unit >= 0x3400 && unit <= 0x9fff) || (unit >= 0xd840 && unit <= 0xd8bf);
