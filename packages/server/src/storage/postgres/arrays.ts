/**
 * Encodes array parameters as PostgreSQL's text, several times faster than the driver does for long arrays, and bytes
 * and vectors in its binary form.
 */

const CONTROL = /\p{Cc}/u;

/** A `text[]`. The texts contain no NUL, because the wire reader rejects it. */
export function textArray(values: (string | null)[]): string {
  // JSON and array text differ in the brackets and in how control characters are written.
  if (!values.some((value) => value !== null && CONTROL.test(value))) {
    return `{${JSON.stringify(values).slice(1, -1)}}`;
  }
  const element = (value: string | null) =>
    value === null ? "null" : `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
  return `{${values.map(element).join(",")}}`;
}

/** A `bigint[]`, or an array of another numeric type. */
export function numberArray(values: (number | bigint | null)[]): string {
  return `{${values.map((value) => value ?? "null").join(",")}}`;
}

/** Reads the numbers of a `bigint[]` in text form. */
export function readNumbers(array: string): number[] {
  return JSON.parse(`[${array.slice(1, -1)}]`);
}

/** Element types: https://www.postgresql.org/docs/current/catalog-pg-type.html, `oid`. */
const BYTEA = 17;
const REAL = 700;
/** Five 32-bit numbers: one dimension, no nulls, the element type, the length, and the lower bound 1. */
const HEAD_BYTES = 20;

function writeHead(into: Buffer, type: number, length: number): number {
  for (const [index, field] of [1, 0, type, length, 1].entries()) into.writeInt32BE(field, 4 * index);
  return HEAD_BYTES;
}

/** A `bytea[]`. */
export function bytesArray(values: Uint8Array[]): Buffer {
  const size = values.reduce((sum, value) => sum + 4 + value.length, HEAD_BYTES);
  const array = Buffer.allocUnsafe(size);
  let at = writeHead(array, BYTEA, values.length);
  for (const value of values) {
    at = array.writeInt32BE(value.length, at);
    array.set(value, at);
    at += value.length;
  }
  return array;
}

/** A `real[]` of the numbers of all lists, one list after another. */
export function realArray(lists: Float32Array[]): Buffer {
  const length = lists.reduce((sum, list) => sum + list.length, 0);
  const array = Buffer.allocUnsafe(HEAD_BYTES + 8 * length);
  let at = writeHead(array, REAL, length);
  for (const list of lists) {
    for (const number of list) {
      at = array.writeInt32BE(4, at);
      at = array.writeFloatBE(number, at);
    }
  }
  return array;
}
