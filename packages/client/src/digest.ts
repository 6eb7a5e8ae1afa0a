import { formatDigest, hashOf } from "@tidemark/protocol/digest";
import { cutBatches } from "./batches.ts";
import type { SourceRecord, SourceRecords } from "./record.ts";

/**
 * The digest of a namespace that holds these records and no others, as the server answers it: 64 hexadecimal digits.
 * @param records upserts, each id once
 */
export async function digestOf(records: SourceRecords): Promise<string> {
  let sum = 0n;
  const note = (record: SourceRecord) =>
    hashOfRecord(record).then((hash) => {
      sum += hash;
    });
  // In batches, because many hashes at once are several times as fast.
  for await (const _ of cutBatches(records, "", {}, note)) {
    // All is noted.
  }
  return formatDigest(sum);
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
