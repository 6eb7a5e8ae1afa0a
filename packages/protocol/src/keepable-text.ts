import { LIMITS } from "./limits.ts";

/** Why a text cannot be kept; undefined if it can: PostgreSQL has no U+0000, and UTF-8 no half of a surrogate pair. */
export function textFault(text: string): string | undefined {
  if (!text.isWellFormed()) return "half of a surrogate pair";
  return text.includes("\0") ? "the character U+0000" : undefined;
}

/** The text with U+FFFD for what cannot be kept. */
export const replaceFaults = (text: string): string => text.toWellFormed().replaceAll("\0", "\ufffd");

/** Whether a text has at most so many Unicode code points. */
export function hasAtMost(text: string, codePoints: number): boolean {
  // A code point has one or two code units: they are counted only between the two.
  return text.length <= codePoints || (text.length <= 2 * codePoints && [...text].length <= codePoints);
}

/** Whether a text can be a name: an id, a namespace, what a person calls something. */
export function isName(text: string, codePoints: number = LIMITS.identifierCodePoints): boolean {
  return text !== "" && hasAtMost(text, codePoints) && textFault(text) === undefined;
}
