import type { SqlRow } from "../storage/port.ts";

/** Milliseconds since 1970 as the API writes times. */
export const isoTime = (ms: SqlRow[string]): string => new Date(Number(ms)).toISOString();
export const isoTimeOrNull = (ms: SqlRow[string] | undefined): string | null =>
  ms == null ? null : isoTime(ms);
