/**
 * Kinds of UTF-16 units. DIGIT to UPPER form words of scripts with spaces between words; letters without case, and
 * marks, count as lower case.
 */
export const OTHER = 1;
/** The second half of a surrogate pair; it belongs to the unit before. */
export const TRAIL = 2;
export const APOSTROPHE = 3;
/** Holds the parts of an identifier together: user_id, node.js. */
export const JOINER = 4;
export const DIGIT = 5;
export const LOWER = 6;
export const UPPER = 7;
/** A character of a script without spaces between words, or of Hangul, whose words are like short sentences. */
export const UNSPACED = 8;
/** A vowel or tone of such a script that is written on the character before it. */
export const UNSPACED_MARK = 9;

/** The kinds of the units seen so far; 0: not seen yet. */
const KINDS = new Uint8Array(0x10000);

/** The kind of the unit at an offset of a text; OTHER past the end. */
export function kindAt(text: string, at: number): number {
  if (at >= text.length) return OTHER;
  const unit = text.charCodeAt(at);
  return KINDS[unit] || learn(unit);
}

function learn(unit: number): number {
  const kind = kindOf(unit);
  KINDS[unit] = kind;
  return kind;
}

function kindOf(unit: number): number {
  if (unit >= 0xdc00 && unit <= 0xdfff) return TRAIL;
  if (unit >= 0xd800 && unit <= 0xdbff) return kindOfPair(unit);
  const character = String.fromCharCode(unit);
  if (/['’‘ʼʻ]/.test(character)) return APOSTROPHE;
  if (/[-_.@&]/.test(character)) return JOINER;
  if (!/[\p{L}\p{M}\p{N}]/u.test(character)) return OTHER;
  if (/[\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{sc=Hang}]/u.test(character)) return UNSPACED;
  if (/[\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Mymr}]/u.test(character)) {
    return /\p{M}/u.test(character) ? UNSPACED_MARK : UNSPACED;
  }
  if (/\p{N}/u.test(character)) return DIGIT;
  return /\p{Lu}/u.test(character) ? UPPER : LOWER;
}

/**
 * The kind of a pair by its first half: planes 2 and 3 are Han; plane 1 has letters, and signs and emoji from U+1EC00.
 */
function kindOfPair(high: number): number {
  if (high >= 0xd840 && high <= 0xd8bf) return UNSPACED;
  return high < 0xd83b ? LOWER : OTHER;
}

export const isWordKind = (kind: number): boolean => kind >= DIGIT && kind <= UPPER;
