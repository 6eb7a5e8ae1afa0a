/**
 * Tokens are counted in tenths, as whole numbers, so that sums do not depend on where in a text they begin.
 *
 * The count is an estimate, because each model splits text differently: 1.3 tokens per word, and 0.3 for each character
 * of a word after the twelfth; half a token per punctuation sign, of which code and tables have many; 1 token per
 * Chinese, Japanese or Korean character and per character outside the basic plane.
 */
export const TENTHS = 10;
const WORD = 13;
const LONG_WORD_CHARACTERS = 12;
const FURTHER_CHARACTER = 3;
const PUNCTUATION = 5;

/** Estimated tokens of a text or a piece of it, in tenths. A piece that begins within a word continues that word. */
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

/** Whether a UTF-16 unit is a surrogate or of a script without spaces, whose characters are counted one by one. */
export function isIdeographic(unit: number): boolean {
  return (
    (unit >= 0x2e80 && unit <= 0xa4cf) || // radicals, kana, ideographs, their punctuation
    (unit >= 0xac00 && unit <= 0xdfff) || // Hangul syllables; surrogates
    (unit >= 0xf900 && unit <= 0xfaff) ||
    (unit >= 0xff00 && unit <= 0xffef)
  );
}

/** Whether a unit is the second half of a surrogate pair, before which no text may be cut. */
export const isLowSurrogate = (unit: number): boolean => unit >= 0xdc00 && unit <= 0xdfff;

const isWordUnit = (unit: number): boolean => unit > 32 && !isAsciiPunctuation(unit) && !isIdeographic(unit);

const isAsciiPunctuation = (unit: number): boolean =>
  unit < 48 || (unit > 57 && unit < 65) || (unit > 90 && unit < 97) || (unit > 122 && unit < 128);
