import { isExact } from "./exact-number.ts";
import { parseJson, parseJsonNumbers } from "./parse-json.ts";

/**
 * A number that a double may not hold: more than 15 digits, or an exponent of three digits. It also matches in some
 * strings, which only costs time. `wire/scan-json.ts` of the server has the same rule for bytes.
 */
const LONG_NUMBER = /[\d.]{16}|\d[eE][+-]?\d{3}/;

/** A number that a double does not hold, as written in the text. */
export class InexactNumber {
  readonly source: string;
  constructor(source: string) {
    this.source = source;
  }
}

/**
 * Parses a JSON text without changing a number: one that a double does not hold becomes an {@link InexactNumber}.
 * @param note called with the text of each such number
 * @throws SyntaxError; RangeError if it is nested too deeply; what `note` throws
 */
export function parseExactJson(text: string, note?: (source: string) => void): unknown {
  if (!LONG_NUMBER.test(text)) return parseJson(text);
  return parseJsonNumbers(text, (source) => {
    if (isExact(source)) return Number(source);
    note?.(source);
    return new InexactNumber(source);
  });
}
