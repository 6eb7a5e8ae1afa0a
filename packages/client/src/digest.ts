import type { SourceRecord } from "./record.ts";

/** The SHA-256 of a text in UTF-8, as a number. Many at once take some 10 µs each, one after another 65. */
export async function hashOf(text: string): Promise<bigint> {
  const words = new DataView(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
  let hash = 0n;
  for (let at = 0; at < 32; at += 8) hash = (hash << 64n) | words.getBigUint64(at);
  return hash;
}

/** A record's part of its namespace's digest. @throws TypeError for a number that JSON does not have */
export const hashOfRecord = (record: SourceRecord) => hashOf(digestedText(record));

/**
 * The text whose SHA-256 is a record's part of its namespace's digest, for the record as `JSON.stringify` sends it.
 * @throws TypeError for a number that JSON does not have: it would be sent as `null`
 */
export const digestedText = ({ id, action, namespace, data = {}, ...more }: SourceRecord) =>
  canonical([id, { data, ...more }], id)!;

/** RFC 8785 for what `JSON.stringify` accepts: `toJSON`, and members that are left out, as it treats them. */
function canonical(given: unknown, id: string): string | undefined {
  const { toJSON } = Object(given) as { toJSON?: unknown };
  const value = typeof toJSON === "function" ? toJSON.call(given) : given;
  if (typeof value === "number" && !Number.isFinite(value)) {
    throw new TypeError(`Record "${id}" has ${value}, which is not JSON.`);
  }
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  // Array.from() and not map(), which skips holes.
  if (Array.isArray(value)) return `[${Array.from(value, (item) => canonical(item, id) ?? "null").join()}]`;
  const members: string[] = [];
  for (const name of Object.keys(value).sort()) {
    const text = canonical((value as Record<string, unknown>)[name], id);
    if (text) members.push(`${JSON.stringify(name)}:${text}`);
  }
  return `{${members.join()}}`;
}
