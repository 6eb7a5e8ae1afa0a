import { ApiError, type FieldError } from "@tidemark/protocol/errors";
import type { List } from "@tidemark/protocol/management";

/** Prints an object, as JSON for scripts or one member per line for a person. */
export function printObject(object: object, json: boolean): void {
  if (json) {
    console.log(JSON.stringify(object, null, 2));
    return;
  }
  const members = Object.entries(object).filter(([name, value]) => name !== "object" && isPlain(value));
  const width = Math.max(...members.map(([name]) => name.length));
  for (const [name, value] of members) console.log(`${name.padEnd(width)}  ${value}`);
  if ("api_key" in object) console.log("\nThe key is shown only once: save it now.");
}

const isPlain = (value: unknown) => value !== null && typeof value !== "object";

/** Prints a list, as JSON for scripts or as a table of `columns` for a person. */
export function printList<T extends object>(
  list: List<T>,
  columns: (keyof T & string)[],
  json: boolean,
): void {
  if (json) {
    console.log(JSON.stringify(list, null, 2));
    return;
  }
  const rows = [
    columns as string[],
    ...list.data.map((item) => columns.map((name) => String(item[name] ?? "-"))),
  ];
  const widths = columns.map((_, index) => Math.max(...rows.map((row) => row[index]!.length)));
  for (const row of rows) {
    console.log(
      row
        .map((cell, index) => cell.padEnd(widths[index]!))
        .join("  ")
        .trimEnd(),
    );
  }
}

/** Exit codes of commands that talk to a server, besides 0 (done) and 1 (error). */
export const REFUSED = 2;
export const NOT_IN_SYNC = 3;

/** Prints an error to standard error, and sets exit code 1. */
export function fail(error: unknown): void {
  const { message } = error as Error;
  const id = error instanceof ApiError ? error.details.id : undefined;
  console.error(`tidemark: ${message}${id === undefined ? "" : ` (${id})`}`);
  const errors = error instanceof ApiError ? (error.details.errors as FieldError[] | undefined) : undefined;
  for (const { field, message } of errors?.slice(1) ?? []) console.error(`tidemark: ${field}: ${message}`);
  process.exitCode = 1;
}
