/**
 * The English stemmer of the Snowball project, known as Porter2: "connected", "connecting" and "connections" all
 * become "connect". The names of steps and regions are those of its description:
 * https://snowballstem.org/algorithms/english/stemmer.html
 *
 * The English stemmer of @orama/stemmers is not used: it is the older Porter algorithm with a mistake in its fourth
 * step, which makes "adop" of "adoption" but "adopt" of "adopt", so that a search for one misses the other.
 */

/** Words whose stems the rules would get wrong. */
const EXCEPTIONS = new Map([
  ["skis", "ski"],
  ["skies", "sky"],
  ["idly", "idl"],
  ["gently", "gentl"],
  ["ugly", "ugli"],
  ["early", "earli"],
  ["only", "onli"],
  ["singly", "singl"],
  ...["sky", "news", "howe", "atlas", "cosmos", "bias", "andes"].map((word) => [word, word] as const),
]);

/** Words whose -ing or -ed is no ending. */
const WHOLE_ING = /^(?:inn|out|cann|herr|earr|even)ing/;
const WHOLE_EED = /^(?:succ|proc|exc)eed/;

/** R1 starts right after these beginnings, so that "general" and "generate" keep different stems. */
const LONG_START = /^(?:gener|commun|arsen|past|univers|later|emerg|organ|inter)/;

const ENDINGS_1A = byLastLetter(["sses", "ied", "ies", "us", "ss", "s"]);
const ENDINGS_1B = byLastLetter(["eedly", "ingly", "edly", "eed", "ing", "ed"]);
const AT_BL_IZ = byLastLetter(["at", "bl", "iz"]);
const DOUBLED = byLastLetter(["bb", "dd", "ff", "gg", "mm", "nn", "pp", "rr", "tt"]);
const ENDINGS_4 = byLastLetter([
  ...["al", "ance", "ence", "er", "ic", "able", "ible", "ant", "ement", "ment", "ent", "ism", "ate", "iti"],
  ...["ous", "ive", "ize", "ion"],
]);

const REPLACED_2: Record<string, string> = {
  ational: "ate",
  fulness: "ful",
  iveness: "ive",
  ization: "ize",
  ousness: "ous",
  biliti: "ble",
  lessli: "less",
  tional: "tion",
  alism: "al",
  aliti: "al",
  ation: "ate",
  entli: "ent",
  fulli: "ful",
  iviti: "ive",
  ousli: "ous",
  ogist: "og",
  abli: "able",
  alli: "al",
  anci: "ance",
  ator: "ate",
  enci: "ence",
  izer: "ize",
  bli: "ble",
};

const REPLACED_3: Record<string, string> = {
  ational: "ate",
  tional: "tion",
  alize: "al",
  icate: "ic",
  iciti: "ic",
  ical: "ic",
  ness: "",
  ful: "",
};

const ENDINGS_2 = byLastLetter([...Object.keys(REPLACED_2), "ogi", "li"]);
const ENDINGS_3 = byLastLetter([...Object.keys(REPLACED_3), "ative"]);

/** Endings by their last letter, the longest first: for most words, that letter shows that they have none. */
function byLastLetter(endings: string[]): Map<number, string[]> {
  const longestFirst = endings.toSorted((a, b) => b.length - a.length);
  return Map.groupBy(longestFirst, (ending) => ending.charCodeAt(ending.length - 1));
}

function endingOf(word: string, endings: Map<number, string[]>): string | undefined {
  return endings.get(word.charCodeAt(word.length - 1))?.find((ending) => word.endsWith(ending));
}

/**
 * The stem of an English word in lower case, without apostrophes. A word with other letters than a to z is its own
 * stem.
 */
export function stemEnglish(word: string): string {
  if (word.length < 3 || !/^[a-z]+$/.test(word)) return word;
  const exception = EXCEPTIONS.get(word);
  if (exception !== undefined) return exception;

  const marked = word.includes("y") ? word.replace(/^y/, "Y").replace(/([aeiouy])y/g, "$1Y") : word;
  const r1 = LONG_START.exec(marked)?.[0].length ?? regionAfter(marked, 0);
  const r2 = regionAfter(marked, r1);
  let stem = step1a(marked);
  stem = step1b(stem, r1);
  stem = step1c(stem);
  stem = step2(stem, r1);
  stem = step3(stem, r1, r2);
  stem = step4(stem, r2);
  stem = step5(stem, r1, r2);
  return marked === word ? stem : stem.toLowerCase();
}

const VOWELS = new Set([..."aeiouy"].map((vowel) => vowel.charCodeAt(0)));
/** Whether the letter at an offset is a vowel; "Y" marks a y that is a consonant. */
const isVowel = (word: string, at: number) => VOWELS.has(word.charCodeAt(at));

function hasVowel(word: string, end: number): boolean {
  for (let at = 0; at < end; at++) if (isVowel(word, at)) return true;
  return false;
}

/** Where the region after the first "vowel, consonant" from `start` begins; the word's end if there is none. */
function regionAfter(word: string, start: number): number {
  for (let at = start + 1; at < word.length; at++) {
    if (!isVowel(word, at) && isVowel(word, at - 1)) return at + 1;
  }
  return word.length;
}

function step1a(word: string): string {
  const ending = endingOf(word, ENDINGS_1A);
  if (ending === undefined || ending === "us" || ending === "ss") return word;
  if (ending === "sses") return word.slice(0, -2);
  if (ending === "s") return hasVowel(word, word.length - 2) ? word.slice(0, -1) : word;
  return word.slice(0, word.length > 4 ? -2 : -1);
}

function step1b(word: string, r1: number): string {
  const ending = endingOf(word, ENDINGS_1B);
  if (ending === undefined) return word;
  const rest = word.slice(0, -ending.length);
  if (ending.startsWith("eed")) return rest.length >= r1 && !WHOLE_EED.test(word) ? `${rest}ee` : word;
  if (ending === "ing") {
    if (WHOLE_ING.test(word)) return word;
    if (/^[^aeiouy][yY]$/.test(rest)) return `${rest[0]}ie`;
  }
  if (!hasVowel(rest, rest.length)) return word;
  if (endingOf(rest, AT_BL_IZ)) return `${rest}e`;
  if (endingOf(rest, DOUBLED)) return /^[aeo]..$/.test(rest) ? rest : rest.slice(0, -1);
  return rest.length === r1 && endsShort(rest) ? `${rest}e` : rest;
}

function step1c(word: string): string {
  const last = word.length - 1;
  if (last < 2 || isVowel(word, last - 1) || !/[yY]$/.test(word)) return word;
  return `${word.slice(0, -1)}i`;
}

/** Whether a word ends in a short syllable. */
function endsShort(word: string): boolean {
  if (word === "past") return true;
  const last = word.length - 1;
  if (last < 1 || isVowel(word, last) || !isVowel(word, last - 1)) return false;
  return last === 1 || (!isVowel(word, last - 2) && !/[wxY]$/.test(word));
}

function step2(word: string, r1: number): string {
  const ending = endingOf(word, ENDINGS_2);
  if (ending === undefined) return word;
  const rest = word.slice(0, -ending.length);
  if (rest.length < r1) return word;
  if (ending === "li") return /[cdeghkmnrt]$/.test(rest) ? rest : word;
  if (ending === "ogi") return rest.endsWith("l") ? `${rest}og` : word;
  return rest + REPLACED_2[ending]!;
}

function step3(word: string, r1: number, r2: number): string {
  const ending = endingOf(word, ENDINGS_3);
  if (ending === undefined) return word;
  const rest = word.slice(0, -ending.length);
  if (rest.length < r1) return word;
  if (ending === "ative") return rest.length >= r2 ? rest : word;
  return rest + REPLACED_3[ending]!;
}

function step4(word: string, r2: number): string {
  const ending = endingOf(word, ENDINGS_4);
  if (ending === undefined) return word;
  const rest = word.slice(0, -ending.length);
  if (rest.length < r2 || (ending === "ion" && !/[st]$/.test(rest))) return word;
  return rest;
}

function step5(word: string, r1: number, r2: number): string {
  const rest = word.slice(0, -1);
  if (word.endsWith("e")) {
    return rest.length >= r2 || (rest.length >= r1 && !endsShort(rest)) ? rest : word;
  }
  return word.endsWith("ll") && rest.length >= r2 ? rest : word;
}
