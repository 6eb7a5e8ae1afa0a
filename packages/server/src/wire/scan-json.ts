import { LIMITS } from "@tidemark/protocol/limits";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const LOWER_U = 0x75;
const ZERO = 0x30;
const NINE = 0x39;

/** Any decimal number of so many digits survives being read as a double and written again. */
const EXACT_DIGITS = 15;

/**
 * One pass over the bytes of a JSON text, before it is parsed, for what `JSON.parse` does not tell.
 *
 * @returns `depthExceeded`: nested deeper than the limit, so it must not be parsed;
 *   `suspicious`: has a number that a double may not hold, or an escape for NUL or for half of a surrogate pair,
 *   so the parsed value needs a closer look. Text that is not JSON gives any answer, and no error.
 */
export function scanJson(bytes: Uint8Array): { depthExceeded: boolean; suspicious: boolean } {
  let suspicious = false;
  let depth = 0;
  const end = bytes.length;
  for (let i = 0; i < end; i++) {
    const byte = bytes[i]!;
    if (byte === QUOTE) {
      for (i++; i < end && bytes[i] !== QUOTE; i++) {
        if (bytes[i] !== BACKSLASH) continue;
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
    } else if (byte === 0x7b || byte === 0x5b) {
      if (++depth > LIMITS.jsonDepth) return { depthExceeded: true, suspicious };
    } else if (byte === 0x7d || byte === 0x5d) {
      depth--;
    } else if (byte >= ZERO && byte <= NINE) {
      const start = i;
      for (i++; i < end; i++) {
        const next = bytes[i]!;
        const inNumber = (next >= ZERO && next <= NINE) || next === 0x2e;
        if (!inNumber) break;
      }
      const exponent = bytes[i] === 0x65 || bytes[i] === 0x45;
      if (exponent || i - start > EXACT_DIGITS) suspicious = true;
      i--;
    }
  }
  return { depthExceeded: false, suspicious };
}

const isHighSurrogate = (unit: number) => unit >= 0xd800 && unit <= 0xdbff;
const isLowSurrogate = (unit: number) => unit >= 0xdc00 && unit <= 0xdfff;

function hex4(bytes: Uint8Array, at: number): number {
  return Number.parseInt(String.fromCharCode(...bytes.subarray(at, at + 4)), 16);
}
