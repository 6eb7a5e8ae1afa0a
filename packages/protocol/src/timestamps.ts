const DATE_TIME =
  /^(\d{4})-(\d{2})-(\d{2})T(\d{2}):(\d{2}):(\d{2})(?:\.(\d{1,9}))?(Z|[+-](?:\d{2}):?(?:\d{2}))?$/;

/** Nanoseconds of a second. */
const SECOND = 1_000_000_000n;

/**
 * Reads an ISO 8601 date-time, exactly.
 *
 * @param text such as `2025-11-11T10:30:00.123456789+01:00`; the zone may be missing (`zoned` is then false)
 * @returns nanoseconds since 1970-01-01T00:00:00Z, or undefined if the text is not a date-time or names
 *   a moment that does not exist (`2024-02-30`, hour 24, a leap second)
 */
export function parseDateTime(text: string): { ns: bigint; zoned: boolean } | undefined {
  const match = DATE_TIME.exec(text);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second, fraction = "", zone] = match;
  const date = new Date(0);
  date.setUTCFullYear(Number(year), Number(month) - 1, Number(day));
  if (date.getUTCMonth() !== Number(month) - 1 || date.getUTCDate() !== Number(day)) return undefined;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 59) return undefined;
  let offsetMinutes = 0;
  if (zone !== undefined && zone !== "Z") {
    const hours = Number(zone.slice(1, 3));
    const minutes = Number(zone.slice(-2));
    if (hours > 23 || minutes > 59) return undefined;
    offsetMinutes = (zone[0] === "-" ? -1 : 1) * (hours * 60 + minutes);
  }
  const seconds =
    date.getTime() / 1000 + Number(hour) * 3600 + (Number(minute) - offsetMinutes) * 60 + Number(second);
  return {
    ns: BigInt(seconds) * SECOND + BigInt(fraction.padEnd(9, "0")),
    zoned: zone !== undefined,
  };
}

/** Writes nanoseconds since 1970 as an ISO 8601 date-time in UTC with as many fractional digits as it needs. */
export function formatDateTime(ns: bigint): string {
  const nanoseconds = ((ns % SECOND) + SECOND) % SECOND;
  const seconds = (ns - nanoseconds) / SECOND;
  const fraction = nanoseconds.toString().padStart(9, "0").replace(/0+$/, "");
  const whole = new Date(Number(seconds) * 1000).toISOString().slice(0, 19);
  return fraction ? `${whole}.${fraction}Z` : `${whole}Z`;
}
