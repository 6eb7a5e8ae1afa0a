import { formatDigest, hashOf } from "@tidemark/protocol/digest";
import { toBatches } from "./batches.ts";
import type { SourceRecord, SourceRecords } from "./record.ts";

/**
 * Computes the digest of a namespace with exactly these records, in the server's form: 64 hexadecimal digits.
 * @param records upserts, each id once
 */
export async function digestOf(records: SourceRecords): Promise<string> {
  let sum = 0n;
  const note = (record: SourceRecord) =>
    hashOfRecord(record).then((hash) => {
      sum += hash;
    });
  // In batches, because concurrent hashes are several times as fast.
  for await (const _ of toBatches(records, "", {}, note)) {
    // `note` has added the batch.
  }
  return formatDigest(sum);
}

/** The hash that a record adds to its namespace's digest. @throws TypeError for a number that JSON does not have */
export const hashOfRecord = (record: SourceRecord) => hashOf(digestedText(record));

/**
 * The text whose SHA-256 is a record's hash, for the record as `JSON.stringify` sends it.
 * @throws TypeError for a number that JSON does not have, because it would be sent as `null`
 */
export const digestedText = ({ id, action, namespace, data = {}, ...more }: SourceRecord) =>
  canonical([id, { data, ...more }], id)!;

/** Canonical JSON (RFC 8785) that treats `toJSON` and undefined members as `JSON.stringify` does. */
function canonical(input: unknown, id: string): string | undefined {
  const { toJSON } = Object(input) as { toJSON?: unknown };
  const value = typeof toJSON === "function" ? toJSON.call(input) : input;
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
