import { InexactNumber } from "@tidemark/protocol/exact-json";

/** Returns a copy with doubles in place of {@link InexactNumber}s, for checking against a schema. */
export function approximate(value: unknown): unknown {
  if (value instanceof InexactNumber) return Number(value.source);
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(approximate);
  // fromEntries(), because assigning to the key __proto__ would set the prototype.
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, approximate(item)]));
}

/**
 * Returns a member of an object exactly as it is written.
 * @param text a JSON object that was parsed before
 * @returns undefined if the object has no such member; the last one if there are several
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

/** Returns where a value ends, including white space: at a comma, or at the closing bracket around the value. */
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
