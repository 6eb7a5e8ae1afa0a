const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const LITERALS: [text: string, value: boolean | null][] = [
  ["true", true],
  ["false", false],
  ["null", null],
];

/**
 * Parses a JSON text whose keys may be written with escapes.
 *
 * `JSON.parse` of V8 13.6 (Node 24) cannot be trusted with those: after an object with the key `\` was parsed anywhere
 * in the process, it reads a key that begins with an escape, such as `"\n"`, as that `\`. Texts without a backslash,
 * nearly all, still go to `JSON.parse`.
 *
 * @throws SyntaxError
 */
export function parseJson(text: string): unknown {
  return text.includes("\\") ? new Parser(text, Number).parse() : JSON.parse(text);
}

/**
 * Parses a JSON text, and lets the caller decide what its numbers become.
 * @param readNumber given a number as it is written
 * @throws SyntaxError
 */
export function parseJsonNumbers(text: string, readNumber: (source: string) => unknown): unknown {
  return new Parser(text, readNumber).parse();
}

/** A recursive descent over RFC 8259. Strings are left to `JSON.parse`, one literal at a time. */
class Parser {
  #text: string;
  #at = 0;
  #readNumber: (source: string) => unknown;

  constructor(text: string, readNumber: (source: string) => unknown) {
    this.#text = text;
    this.#readNumber = readNumber;
  }

  parse(): unknown {
    const value = this.#value();
    this.#skipSpace();
    if (this.#at < this.#text.length) this.#fail();
    return value;
  }

  #value(): unknown {
    this.#skipSpace();
    const first = this.#text[this.#at];
    if (first === "{") return this.#object();
    if (first === "[") return this.#array();
    if (first === '"') return this.#string();
    for (const [text, value] of LITERALS) {
      if (!this.#text.startsWith(text, this.#at)) continue;
      this.#at += text.length;
      return value;
    }
    NUMBER.lastIndex = this.#at;
    const source = NUMBER.exec(this.#text)?.[0] ?? this.#fail();
    this.#at += source.length;
    return this.#readNumber(source);
  }

  #object(): Record<string, unknown> {
    const object: Record<string, unknown> = {};
    this.#list("}", () => {
      this.#skipSpace();
      if (this.#text[this.#at] !== '"') this.#fail();
      const key = this.#string();
      this.#skipSpace();
      if (this.#text[this.#at++] !== ":") this.#fail(-1);
      const value = this.#value();
      // Plain assignment would set the prototype. Of a repeated key the last one counts.
      if (key === "__proto__") {
        Object.defineProperty(object, key, { value, writable: true, enumerable: true, configurable: true });
      } else object[key] = value;
    });
    return object;
  }

  #array(): unknown[] {
    const array: unknown[] = [];
    this.#list("]", () => array.push(this.#value()));
    return array;
  }

  /** Reads what stands between brackets, separated by commas. */
  #list(end: string, readItem: () => void): void {
    this.#at++;
    this.#skipSpace();
    if (this.#text[this.#at] === end) {
      this.#at++;
      return;
    }
    for (;;) {
      readItem();
      this.#skipSpace();
      const separator = this.#text[this.#at++];
      if (separator === end) return;
      if (separator !== ",") this.#fail(-1);
    }
  }

  #string(): string {
    const start = this.#at;
    let end = start + 1;
    while (end < this.#text.length && this.#text[end] !== '"') end += this.#text[end] === "\\" ? 2 : 1;
    if (end >= this.#text.length) this.#fail();
    this.#at = end + 1;
    try {
      return JSON.parse(this.#text.slice(start, this.#at));
    } catch {
      this.#at = start;
      return this.#fail();
    }
  }

  #skipSpace(): void {
    for (; this.#at < this.#text.length; this.#at++) {
      const code = this.#text.charCodeAt(this.#at);
      if (code !== 0x20 && code !== 0x0a && code !== 0x0d && code !== 0x09) return;
    }
  }

  #fail(offset = 0): never {
    throw new SyntaxError(`Unexpected character at position ${this.#at + offset}`);
  }
}
