import { InexactNumber } from "@tidemark/protocol/exact-json";

/** A copy with doubles in place of {@link InexactNumber}s: what a schema is asked about. */
export function approximate(value: unknown): unknown {
  if (value instanceof InexactNumber) return Number(value.source);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(approximate);
  // fromEntries() and not assignment, to which the key __proto__ is special.
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, approximate(item)]));
}

/**
 * A member of an object as it is written, so that it can be handed on to the letter.
 * @param text a JSON object that was parsed before
 * @returns undefined if it has no such member; of several the last
 */
export function rawMember(text: string, name: string): string | undefined {
  let source: string | undefined;
  let at = text.indexOf("{") + 1;
  for (;;) {
    at = skipSpace(text, at);
    if (text[at] !== '"') return source;
    const keyEnd = skipString(text, at);
    const key = JSON.parse(text.slice(at, keyEnd));
    const start = skipSpace(text, skipSpace(text, keyEnd) + 1);
    const end = skipValue(text, start);
    if (key === name) source = text.slice(start, end).trimEnd();
    if (text[end] !== ",") return source;
    at = end + 1;
  }
}

function skipSpace(text: string, at: number): number {
  while (at < text.length && " \t\r\n".includes(text[at]!)) at++;
  return at;
}

function skipString(text: string, start: number): number {
  let at = start + 1;
  while (text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
  return at + 1;
}

/** Where a value ends, white space after it included: at a comma or a closing bracket of what it is in. */
function skipValue(text: string, start: number): number {
  let depth = 0;
  for (let at = start; at < text.length; ) {
    const char = text[at]!;
    if (char === '"') {
      at = skipString(text, at);
      continue;
    }
    if (depth === 0 && (char === "," || char === "}" || char === "]")) return at;
    if (char === "{" || char === "[") depth++;
    else if (char === "}" || char === "]") depth--;
    at++;
  }
  return text.length;
}
