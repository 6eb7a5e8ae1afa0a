/**
 * Array parameters as PostgreSQL's text, several times quicker than the driver makes them from long arrays; and in its
 * binary form what is no text.
 */

const CONTROL = /\p{Cc}/u;

/** A `text[]`. The text has no NUL: the wire reader refused it. */
export function textArray(values: (string | null)[]): string {
  // JSON and array text differ in the brackets and in how control characters are written.
  if (!values.some((value) => value !== null && CONTROL.test(value))) {
    return `{${JSON.stringify(values).slice(1, -1)}}`;
  }
  const element = (value: string | null) =>
    value === null ? "null" : `"${value.replaceAll("\\", "\\\\").replaceAll('"', '\\"')}"`;
  return `{${values.map(element).join(",")}}`;
}

/** A `bigint[]`, or an array of another kind of number. */
export function numberArray(values: (number | bigint | null)[]): string {
  return `{${values.map((value) => value ?? "null").join(",")}}`;
}

/** The numbers of a `bigint[]` that came as text. */
export function readNumbers(array: string): number[] {
  return JSON.parse(`[${array.slice(1, -1)}]`);
}

/** The types of elements: https://www.postgresql.org/docs/current/catalog-pg-type.html, `oid`. */
const BYTEA = 17;
const REAL = 700;
/** One dimension, no nulls, the type; and the dimension: how many, counted from 1. */
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

/** A `real[]` of all numbers, one list behind the other. */
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
