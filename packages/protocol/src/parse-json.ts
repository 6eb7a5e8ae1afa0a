/** A key with an escape. Nearly all texts have none, and `JSON.parse` reads them correctly. */
const ESCAPED_KEY = /\\.[^"\\]*"\s*:/s;
const LITERAL = /[\w.+-]+/y;

/**
 * Parses a JSON text whose keys may be written with escapes.
 *
 * `JSON.parse` of V8 13.6 (Node 24) misreads those: after the process has parsed an object with the key `\`,
 * it reads the key `"\n"` as that `\` (nodejs/node#63785).
 *
 * @throws SyntaxError; RangeError if it is nested too deeply
 */
export function parseJson(text: string): unknown {
  const value: unknown = JSON.parse(text);
  return ESCAPED_KEY.test(text) ? readValue(text, Number) : value;
}

/**
 * Parses a JSON text as {@link parseJson} does, and lets the caller decide what its numbers become.
 * @param readNumber called with each number's text
 * @throws SyntaxError; RangeError if it is nested too deeply
 */
export function parseJsonNumbers(text: string, readNumber: (source: string) => unknown): unknown {
  JSON.parse(text);
  return readValue(text, readNumber);
}

/** Reads a text that is known to be JSON, without checking its syntax. `JSON.parse` reads each string by itself. */
function readValue(text: string, readNumber: (source: string) => unknown): unknown {
  let at = 0;
  let backslash = -1;
  /** Moves to the next backslash, or beyond the text's end: -1 >>> 0 is the largest index. */
  const findBackslash = (from: number) => {
    backslash = text.indexOf("\\", from) >>> 0;
  };
  const readString = (): string => {
    const start = at;
    if (backslash < start) findBackslash(start);
    let quote = text.indexOf('"', start + 1);
    while (backslash < quote) {
      if (quote === backslash + 1) quote = text.indexOf('"', quote + 1);
      findBackslash(backslash + 2);
    }
    at = quote + 1;
    return JSON.parse(text.slice(start, at));
  };
  /** The next character that is no white space, comma or colon: a value or an enclosing value's end. */
  const next = (): string => {
    for (; ; at++) {
      const code = text.charCodeAt(at);
      if (code > 0x20 && code !== 0x2c && code !== 0x3a) return text[at]!;
    }
  };
  const read = (): unknown => {
    const first = next();
    if (first === "{") {
      const object: Record<string, unknown> = {};
      for (at++; next() !== "}"; ) {
        const key = read() as string;
        const value = read();
        // Assigning `__proto__` would set the prototype. The last of repeated keys counts.
        if (key === "__proto__") {
          Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
        } else object[key] = value;
      }
      at++;
      return object;
    }
    if (first === "[") {
      const array: unknown[] = [];
      for (at++; next() !== "]"; ) array.push(read());
      at++;
      return array;
    }
    if (first === '"') return readString();
    LITERAL.lastIndex = at;
    const [source] = LITERAL.exec(text)!;
    at += source.length;
    return first === "t" || first === "f" || first === "n" ? JSON.parse(source) : readNumber(source);
  };
  return read();
}
