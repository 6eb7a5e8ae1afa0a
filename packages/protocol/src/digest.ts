import { canonicalJson } from "./canonical-json.ts";

/** What a record says: the members of an upsert that make its content. */
export interface RecordContent {
  data?: unknown;
  source_system?: unknown;
  file?: unknown;
  created_at?: unknown;
  updated_at?: unknown;
}

/** The content's members, in canonical order. */
const MEMBERS = ["created_at", "data", "file", "source_system", "updated_at"] as const;

/** A record's content as canonical JSON (RFC 8785). Absent members are left out; absent `data` is `{}`. */
export function contentText(record: RecordContent): string {
  const members: string[] = [];
  for (const name of MEMBERS) {
    const member = record[name];
    if (member !== undefined) members.push(`"${name}":${canonicalJson(member)}`);
    else if (name === "data") members.push(`"data":{}`);
  }
  return `{${members.join(",")}}`;
}

/** The text whose SHA-256 is a record's hash: the canonical JSON of `[id, content]`. */
export function hashedText(id: string, content: string): string {
  return `[${JSON.stringify(id)},${content}]`;
}

/** A digest as it is written: 64 hexadecimal digits. */
export function formatDigest(sum: bigint): string {
  return BigInt.asUintN(256, sum).toString(16).padStart(64, "0");
}

/**
 * The digest of a namespace, computed from the source's records: the sum of their hashes modulo 2^256. It is equal to
 * the one that the server answers exactly if the namespace holds these records and no others, whatever their order.
 *
 * @param records each id once; memory does not grow with their number
 */
export async function namespaceDigest(
  records: AsyncIterable<RecordContent & { id: string }> | Iterable<RecordContent & { id: string }>,
): Promise<string> {
  const encoder = new TextEncoder();
  let sum = 0n;
  for await (const record of records) {
    const text = encoder.encode(hashedText(record.id, contentText(record)));
    const hash = new DataView(await crypto.subtle.digest("SHA-256", text));
    for (let word = 0; word < 4; word++) sum += hash.getBigUint64(word * 8) << BigInt(192 - word * 64);
  }
  return formatDigest(sum);
}
