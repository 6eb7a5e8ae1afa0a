/** Array parameters as PostgreSQL's text, several times quicker than the driver makes them from long arrays. */

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
