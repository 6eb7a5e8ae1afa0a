import { InexactNumber, parseExactJson } from "@tidemark/protocol/exact-json";
import { replaceFaults, textFault } from "@tidemark/protocol/keepable-text";
import { parseJsonNumbers } from "@tidemark/protocol/parse-json";

/** Escapes of characters that Tidemark may reject: NUL, and surrogates, which are valid only in pairs. */
const UNSURE_CHARACTERS = /\\u(?:0000|[dD][89a-fA-F])/;

export interface ReadJson {
  value: unknown;
  /** Whether the value may contain something that Tidemark cannot store: see {@link keepable}. */
  unsure: boolean;
}

/**
 * Reads JSON without loss: a number that a double cannot hold becomes an {@link InexactNumber}.
 * @throws SyntaxError
 */
export function readExactly(text: string): ReadJson {
  let unsure = UNSURE_CHARACTERS.test(text);
  const value = parseExactJson(text, () => {
    unsure = true;
  });
  return { value, unsure };
}

const { rawJSON } = JSON as unknown as { rawJSON(text: string): object };

/** A number that JSON.stringify writes exactly as given, such as `12.0`. */
export const rawNumber = (text: string): object => rawJSON(text);

/** Reads JSON to pass it on: JSON.stringify writes every number as it arrived. @throws SyntaxError */
export function readToPassOn(text: string): unknown {
  return parseJsonNumbers(text, (source) => {
    const number = Number(source);
    return String(number) === source ? number : rawJSON(source);
  });
}

/** How many values Tidemark cannot store exactly. */
export interface Adaptations {
  /** Numbers that became strings. */
  numbers: number;
  /** Strings in which NUL or an unpaired surrogate became U+FFFD. */
  strings: number;
}

/** The value as Tidemark can store it: inexact numbers as strings, invalid characters as U+FFFD. */
export function keepable(value: unknown, adapted: Adaptations): unknown {
  if (value instanceof InexactNumber) {
    adapted.numbers++;
    return value.source;
  }
  if (typeof value === "string") return keepableText(value, adapted);
  if (Array.isArray(value)) return value.map((item) => keepable(item, adapted));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, member]) => [keepableText(name, adapted), keepable(member, adapted)]),
  );
}

function keepableText(text: string, adapted: Adaptations): string {
  if (textFault(text) === undefined) return text;
  adapted.strings++;
  return replaceFaults(text);
}
