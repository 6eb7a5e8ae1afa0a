import { InexactNumber, parseExactJson } from "@tidemark/protocol/exact-json";
import { replaceFaults, textFault } from "@tidemark/protocol/keepable-text";
import { parseJsonNumbers } from "@tidemark/protocol/parse-json";

/** Escapes for NUL and for halves of surrogate pairs, which Tidemark does not keep. */
const UNSURE_CHARACTERS = /\\u(?:0000|[dD][89a-fA-F])/;

export interface ReadJson {
  value: unknown;
  /** Whether the value may hold what Tidemark refuses: see {@link keepable}. */
  unsure: boolean;
}

/**
 * Reads JSON without changing a number: one that a double cannot hold becomes an {@link InexactNumber}.
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

/** A number that is written as a text says, such as `12.0`. */
export const rawNumber = (text: string): object => rawJSON(text);

/** Reads JSON that is only passed on: every number is written again as it was. @throws SyntaxError */
export function readToPassOn(text: string): unknown {
  return parseJsonNumbers(text, (source) => {
    const number = Number(source);
    return String(number) === source ? number : rawJSON(source);
  });
}

/** How much of a value could not be kept as it was. */
export interface Adaptations {
  /** Numbers that became texts. */
  numbers: number;
  /** Texts in which NUL or half of a surrogate pair became U+FFFD. */
  texts: number;
}

/** The value as Tidemark can keep it: inexact numbers as texts, characters that are none as U+FFFD. */
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
  adapted.texts++;
  return replaceFaults(text);
}
