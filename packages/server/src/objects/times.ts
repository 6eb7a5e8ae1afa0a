import type { SqlRow } from "../storage/port.ts";

/** A time as the API writes it. @param ms since 1970 */
export const isoTime = (ms: SqlRow[string]): string => new Date(Number(ms)).toISOString();
export const isoTimeOrNull = (ms: SqlRow[string] | undefined): string | null =>
  ms == null ? null : isoTime(ms);
