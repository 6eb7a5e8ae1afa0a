import type { Language } from "./settings.ts";
import { stemEnglish } from "./stem-english.ts";

/** What stands in the index for a word in lower case, without apostrophes: its stem, without accents. */
export type Stemmer = (word: string) => string;

/**
 * Languages whose words lose their accents before they are stemmed, not after. Stemmers know accented endings, but a
 * word typed without accents then gets another stem, and many who write Romance languages type so. Folded first, a
 * French query without accents finds as much as one with them, and that finds no less (nDCG@10 on PIAF 0.773 for
 * both; 0.772 and 0.762 the other way). Elsewhere too much of the stemming would be lost: a third of Hungarian's.
 */
const FOLDED_FIRST: Language[] = ["french", "italian", "portuguese", "romanian", "spanish"];

/**
 * Stemmers are loaded when first needed: a store has one language, and all 28 would cost each thread 8 MB and 30 ms.
 * @returns a function of the word alone, so that index and query agree
 */
export async function loadStemmer(language: Language): Promise<Stemmer> {
  if (language === "none") return fold;
  if (language === "english") return (word) => stemEnglish(fold(word));
  const { stemmer } = (await import(`@orama/stemmers/${language}`)) as { stemmer: Stemmer };
  if (FOLDED_FIRST.includes(language)) {
    return (word) => {
      const folded = fold(word);
      return fold(stemmer(folded)) || folded;
    };
  }
  if (language === "german") return (word) => fold(stemmer(withUmlauts(word))) || fold(word);
  return (word) => fold(stemmer(word)) || fold(word);
}

const UMLAUTS: Record<string, string> = { ae: "ä", oe: "ö", ue: "ü" };

/**
 * Those who have no umlauts on their keyboard write ae for ä. As in Snowball, the u of "neue" and "Quelle" is no
 * umlaut.
 */
function withUmlauts(word: string): string {
  return word.replace(/ae|oe|(?<![aeiouyäöüq])ue/g, (pair) => UMLAUTS[pair]!);
}

/** Letters that Unicode does not take apart, as they are written without them. */
const PLAIN_LETTERS: Record<string, string> = {
  ...{ ß: "ss", æ: "ae", œ: "oe", ø: "o", đ: "d", ð: "d", þ: "th", ł: "l", ħ: "h", ı: "i", ŋ: "n", ς: "σ" },
  // The Arabic stroke that only makes a word longer.
  ـ: "",
};
const SPECIAL_LETTERS = new RegExp(`[${Object.keys(PLAIN_LETTERS).join("")}]`, "g");

/**
 * Accents of Latin, Greek and Cyrillic letters, and the points of Hebrew and Arabic; not the marks of scripts where
 * they are vowels. Short и is a letter of its own.
 */
const ACCENTS =
  /(?!(?<=и)\u0306)[\u0300-\u036f]|[\u0483-\u0487\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670]/g;

/** Vowels as only Vietnamese has them: there the accents are tones, and without them a word is many words. */
const VIETNAMESE = /[aeiouy](?:[\u0309\u031b\u0323]|[\u0302\u0306][\u0300\u0301\u0303])/;

/** A word in lower case without accents, since many type without them. */
export function fold(word: string): string {
  if (isAscii(word)) return word;
  const decomposed = word.normalize("NFD");
  if (VIETNAMESE.test(decomposed)) return word;
  const bare = decomposed.replace(ACCENTS, "").normalize("NFC");
  return bare.replace(SPECIAL_LETTERS, (letter) => PLAIN_LETTERS[letter]!);
}

/** Whether a text has nothing that must be normalized. */
export function isAscii(text: string): boolean {
  return !/[^\0-\x7f]/.test(text);
}
