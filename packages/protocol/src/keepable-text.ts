import { LIMITS } from "./limits.ts";

/** Why a text cannot be stored, or undefined: PostgreSQL has no U+0000, and UTF-8 no half of a surrogate pair. */
export function textFault(text: string): string | undefined {
  if (!text.isWellFormed()) return "half of a surrogate pair";
  return text.includes("\0") ? "the character U+0000" : undefined;
}

/** The text with U+FFFD in place of what cannot be stored. */
export const replaceFaults = (text: string): string => text.toWellFormed().replaceAll("\0", "\ufffd");

/** Whether a text has at most `codePoints` Unicode code points. */
export function hasAtMost(text: string, codePoints: number): boolean {
  // A code point has one or two code units, so most lengths decide without counting.
  return text.length <= codePoints || (text.length <= 2 * codePoints && [...text].length <= codePoints);
}

/** Whether a text can be a name: an id, a namespace or the name of an object. */
export function isName(text: string, codePoints: number = LIMITS.identifierCodePoints): boolean {
  return text !== "" && hasAtMost(text, codePoints) && textFault(text) === undefined;
}
