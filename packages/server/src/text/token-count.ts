/**
 * Tokens are counted in tenths: whole numbers, so that sums do not depend on where in a text they begin.
 *
 * An estimate, since each model splits text its own way: 1.3 tokens a word, and for a word of more than 12 characters
 * another 0.3 for each character more; half a token for each sign of punctuation, which is what code and tables are
 * made of; 1 token for a Chinese, Japanese or Korean character, or another one outside the basic plane.
 */
export const TENTHS = 10;
const WORD = 13;
const LONG_WORD_CHARACTERS = 12;
const FURTHER_CHARACTER = 3;
const PUNCTUATION = 5;

/** Estimated tokens of a text, or of a piece of it, in tenths. A piece that begins within a word goes on with it. */
export function countTokens(text: string, start = 0, end = text.length): number {
  let tenths = 0;
  let wordCharacters = start > 0 && isWordUnit(text.charCodeAt(start - 1)) ? LONG_WORD_CHARACTERS : 0;
  for (let i = start; i < end; i++) {
    const unit = text.charCodeAt(i);
    if (unit <= 32) wordCharacters = 0;
    else if (isAsciiPunctuation(unit)) tenths += PUNCTUATION;
    else if (unit < 0x2e80 || !isIdeographic(unit)) {
      wordCharacters++;
      if (wordCharacters === 1) tenths += WORD;
      else if (wordCharacters > LONG_WORD_CHARACTERS) tenths += FURTHER_CHARACTER;
    } else {
      wordCharacters = 0;
      if (!isLowSurrogate(unit)) tenths += TENTHS;
    }
  }
  return tenths;
}

/** True for UTF-16 units of scripts that are written without spaces and counted by character, and for surrogates. */
export function isIdeographic(unit: number): boolean {
  return (
    (unit >= 0x2e80 && unit <= 0xa4cf) || // radicals, kana, ideographs, their punctuation
    (unit >= 0xac00 && unit <= 0xdfff) || // Hangul syllables; surrogates
    (unit >= 0xf900 && unit <= 0xfaff) ||
    (unit >= 0xff00 && unit <= 0xffef)
  );
}

/** The second half of a character of two units: no text is ever cut before it. */
export const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;

const isWordUnit = (unit: number): boolean => unit > 32 && !isAsciiPunctuation(unit) && !isIdeographic(unit);

const isAsciiPunctuation = (unit: number): boolean =>
  unit < 48 || (unit > 57 && unit < 65) || (unit > 90 && unit < 97) || (unit > 122 && unit < 128);
