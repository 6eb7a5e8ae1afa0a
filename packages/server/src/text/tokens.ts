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
 * The terms of a text, in order; what a text has in common with a query is what it is found by.
 *
 * A word is its stem, in lower case and without accents. An identifier of several parts is its parts as words, and the
 * whole as one term more: `task_123`, `task-123` and `task123` have the term task123 in common, `userId` and `user_id`
 * userid, `node.js` and `10.0.0.1` are kept as they are written. The whole counts like any other term in a text's
 * length: it is rare, and to count it apart would cost every caller a second number. Chinese, Japanese, Korean and Thai
 * are pairs of neighbouring characters, and each Chinese character by itself.
 */
export type Analyzer = (text: string) => string[];

/**
 * UTF-8 bytes of a term. What is longer is no word but a hash, a path, a key; it is cut and not left out, because its
 * beginning still tells it from others.
 */
export const TERM_BYTES_MAX = 64;
/** Terms of one text; further ones are left out. Far more than a chunk has. */
export const TERMS_MAX = 100_000;

const analyzers = new Map<Language, Promise<Analyzer>>();

/** The analyzer of texts in a language. There is one a language, with its memory of words. */
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

/**
 * The analyzer of queries: that of texts, without the words that say nothing of what is sought, if there are others.
 */
export async function queryAnalyzerFor(language: Language): Promise<Analyzer> {
  const analyze = await analyzerFor(language);
  return (query) => {
    const terms = analyze(withoutStopWords(query, language));
    return terms.length > 0 ? terms : analyze(query);
  };
}

/** What stands for a word, which may have apostrophes; nothing if it has no more than marks. */
function termOf(word: string, stem: Stemmer, language: Language): string {
  // Turkish has two letters i, and the stemmer knows which.
  const lower = language === "turkish" ? word.toLocaleLowerCase("tr") : word.toLowerCase();
  if (/^[a-z]+$/.test(lower)) return cut(stem(cut(lower)));
  const bare = withoutApostrophes(lower, language);
  return cut(/\p{N}/u.test(bare) ? fold(bare) : stem(cut(bare)));
}

const APOSTROPHES = /['’‘ʼʻ]/;
/** Articles and the like that lose their vowel before another: l'avion, dell'arte. */
const ELIDED =
  /^(?:[cdjlmnst]|qu|jusqu|lorsqu|puisqu|quoiqu|un|gl|quest|(?:a|da|de|ne|su|co)(?:ll|gl))'(?=..)/;

/**
 * "avion" of "l'avion", "john" of "John's", "dont" of "don't": in whatever language, as texts of a store are in
 * several.
 */
function withoutApostrophes(word: string, language: Language): string {
  if (!APOSTROPHES.test(word)) return word;
  const plain = word.replace(/['’‘ʼʻ]/g, "'");
  // Turkish sets the endings of names apart: Ankara'nın.
  if (language === "turkish") return plain.replace(/(?<=..)'.*/, "");
  const bare = plain.replace(ELIDED, "").replace(/'(?:s|ll|re|ve|d|m)$/, "");
  return bare.replaceAll("'", "");
}

/** At most {@link TERM_BYTES_MAX} bytes of a term. */
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

/** One form of each character, without those that only say how letters join, look, or where a word may be broken. */
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
/** Where userName and parseJSON have their humps; not within mRNA, McDonald, IgG or lacZ. */
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

/** What the parts of an identifier are like. */
interface Shape {
  /** The kinds of characters they have, as bits. */
  kinds: number;
  joiners: number;
  hasHump: boolean;
  /** UTF-16 units of the shortest. */
  shortest: number;
}

/** Adds the term of an identifier whose parts are in `terms` from `firstTerm` on, or puts it in their place. */
function addWhole(whole: string, shape: Shape, firstTerm: number, terms: string[], words: WordMemory): void {
  const { kinds, joiners, hasHump, shortest } = shape;
  const hasDigit = (kinds & (1 << DIGIT)) !== 0;
  const hasLetter = (kinds & ((1 << LOWER) | (1 << UPPER))) !== 0;
  if (joiners === DOT) {
    const isDecimal = !hasLetter && terms.length === firstTerm + 2;
    // U.S.A. is USA.
    const isAbbreviation = shortest === 1 && /^\p{L}(?:\.\p{L})+$/u.test(whole);
    if (isDecimal || isAbbreviation) {
      terms.length = firstTerm;
      terms.push(isDecimal ? cut(fold(whole)) : words.of(whole.replaceAll(".", "")));
      return;
    }
    // v1.2.3 is 1.2.3.
    if (/^v\p{N}+\./iu.test(whole)) {
      terms[firstTerm] = terms[firstTerm]!.slice(1);
      whole = whole.slice(1);
    }
  }
  if ((joiners & ~(HYPHEN | UNDERSCORE)) !== 0 || !hasLetter) terms.push(cut(fold(whole.toLowerCase())));
  // Not words that a hyphen joins, as in "long-term"; but e-mail is email, and x-ray xray.
  else if (joiners !== HYPHEN || shortest === 1 || hasDigit || hasHump) {
    terms.push(words.of(whole.replace(/[-_]/g, "")));
  }
}

const PLUS = "+".charCodeAt(0);
const HASH = "#".charCodeAt(0);

/** C++ and C# are other than C. @param word with what follows it */
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
    // A Chinese character is a word, or close to one; a kana says little alone.
    if (isHan(text.charCodeAt(at)) || (at === start && !hasNext)) terms.push(cut(text.slice(at, next)));
    if (hasNext) terms.push(cut(text.slice(at, characterEnd(text, next))));
    at = next;
  }
  return at;
}

/** Where the character at a place ends, with the marks that are written on it. */
function characterEnd(text: string, at: number): number {
  let end = at + 1;
  for (let kind = kindAt(text, end); kind === TRAIL || kind === UNSPACED_MARK; kind = kindAt(text, end))
    end++;
  return end;
}

/** By its first UTF-16 unit: without the signs that only repeat or lengthen. Rare Chinese characters are pairs. */
const isHan = (unit: number) => (unit >= 0x3400 && unit <= 0x9fff) || (unit >= 0xd840 && unit <= 0xd8bf);
