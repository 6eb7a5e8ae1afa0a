import { LIMITS } from "@tidemark/protocol/limits";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LOWER_U = 0x75;
const ZERO = 0x30;
const NINE = 0x39;
const POINT = 0x2e;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;

/** A decimal number with up to this many digits survives the conversion to a double and back. */
const EXACT_DIGITS = 15;

/** In longer strings, `indexOf` finds the end faster than the loop. */
const LONG_STRING = 24;

/** What one pass over a JSON text found. */
export interface JsonScan {
  /** The text is nested deeper than the limit and must not be parsed. */
  depthExceeded: boolean;
  /** The text has a number that a double may not hold, or an escape for NUL or half of a surrogate pair. */
  suspicious: boolean;
  /** The text has keys with escapes, which `JSON.parse` may misread: see protocol/parse-json.ts. */
  escapedKeys: boolean;
  /** Start and end of each object in the member's array; empty if they are unsure. */
  spans: number[];
}

/**
 * Scans the bytes of a JSON text, before it is parsed, for what `JSON.parse` does not report. It never throws; for text
 * that is not JSON, the result means nothing.
 * @param member the top-level member whose array elements are located
 */
export function scanJson(bytes: Uint8Array, member = ""): JsonScan {
  /** The next backslash: most strings have none, so the scan can skip them quickly. */
  let backslash = nextOf(bytes, BACKSLASH, 0);
  let suspicious = false;
  let depth = 0;
  let spans: number[] = [];
  let escapedKeys = false;
  let escapedTopKeys = false;
  let inMember = false;
  let keyStart = 0;
  let keyEnd = 0;
  const end = bytes.length;
  for (let i = 0; i < end; i++) {
    const byte = bytes[i]!;
    if (byte === QUOTE) {
      const start = i + 1;
      let escaped = false;
      const near = Math.min(start + LONG_STRING, end);
      for (i++; i < near && bytes[i] !== QUOTE; i++);
      if (i === near) i = nextOf(bytes, QUOTE, i);
      if (backslash < start) backslash = nextOf(bytes, BACKSLASH, start);
      if (backslash < i) i = backslash;
      for (; i < end && bytes[i] !== QUOTE; i++) {
        if (bytes[i] !== BACKSLASH) continue;
        escaped = true;
        i++;
        if (bytes[i] !== LOWER_U) continue;
        const unit = hex4(bytes, i + 1);
        if (unit === 0 || isLowSurrogate(unit)) suspicious = true;
        else if (isHighSurrogate(unit)) {
          const paired = bytes[i + 5] === BACKSLASH && bytes[i + 6] === LOWER_U;
          if (paired && isLowSurrogate(hex4(bytes, i + 7))) i += 6;
          else suspicious = true;
        }
        i += 4;
      }
      if (escaped && isKey(bytes, i + 1)) {
        escapedKeys = true;
        if (depth === 1) escapedTopKeys = true;
      }
      if (depth === 1) {
        keyStart = start;
        keyEnd = i;
      }
    } else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      if (++depth > LIMITS.jsonDepth) return { depthExceeded: true, suspicious, escapedKeys, spans: [] };
      if (depth === 2) {
        inMember = byte === OPEN_ARRAY && sameText(bytes, keyStart, keyEnd, member);
        // The last one of repeated keys counts.
        if (inMember) spans = [];
      } else if (depth === 3 && inMember && byte === OPEN_OBJECT) spans.push(i);
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      if (depth === 3 && inMember && byte === CLOSE_OBJECT) spans.push(i + 1);
      depth--;
    } else if (byte >= ZERO && byte <= NINE) {
      const start = i;
      for (i++; i < end; i++) {
        const next = bytes[i]!;
        const inNumber = (next >= ZERO && next <= NINE) || next === POINT;
        if (!inNumber) break;
      }
      const exponent = bytes[i] === 0x65 || bytes[i] === 0x45;
      if (i - start > EXACT_DIGITS || (exponent && isLongExponent(bytes, i))) suspicious = true;
      i--;
    }
  }
  // A key with escapes may be the member's name too.
  return { depthExceeded: false, suspicious, escapedKeys, spans: escapedTopKeys ? [] : spans };
}

/** The position of the next such byte, or the end. */
function nextOf(bytes: Uint8Array, byte: number, from: number): number {
  const position = bytes.indexOf(byte, from);
  return position === -1 ? bytes.length : position;
}

/** Whether the string that ends before a position is a key. */
function isKey(bytes: Uint8Array, at: number): boolean {
  while (bytes[at] === 0x20 || bytes[at] === 0x0a || bytes[at] === 0x0d || bytes[at] === 0x09) at++;
  return bytes[at] === 0x3a;
}

function sameText(bytes: Uint8Array, start: number, end: number, text: string): boolean {
  if (end - start !== text.length) return false;
  for (let i = 0; i < text.length; i++) if (bytes[start + i] !== text.charCodeAt(i)) return false;
  return true;
}

/** Whether an exponent has three or more digits: a double holds short numbers with smaller exponents. */
const isLongExponent = (bytes: Uint8Array, at: number) =>
  /^[eE][+-]?\d{3}/.test(String.fromCharCode(...bytes.subarray(at, at + 5)));

const isHighSurrogate = (unit: number) => unit >= 0xd800 && unit <= 0xdbff;
const isLowSurrogate = (unit: number) => unit >= 0xdc00 && unit <= 0xdfff;

function hex4(bytes: Uint8Array, at: number): number {
  return Number.parseInt(String.fromCharCode(...bytes.subarray(at, at + 4)), 16);
}
