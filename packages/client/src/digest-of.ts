import { formatDigest } from "@tidemark/protocol/digest";
import { cutBatches } from "./batches.ts";
import { hashOfRecord } from "./digest.ts";
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
