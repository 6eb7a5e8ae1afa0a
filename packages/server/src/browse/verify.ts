import { hash } from "node:crypto";
import { formatDigest, hashedText } from "@tidemark/protocol/digest";
import type { Sql } from "../storage/port.ts";
import { IS_CURRENT } from "../storage/visibility.ts";

/** Records per page: memory stays constant. */
const PAGE_ROWS = 1000;

export interface Verification {
  namespace: string;
  /** As the namespace's row has them. */
  records: number;
  digest: string;
  /** As recomputed from the stored contents. */
  counted_records: number;
  counted_digest: string;
  in_sync: boolean;
}

/** Recomputes the digest of each namespace of a store from the stored contents, in one snapshot. */
export async function verifyStore(sql: Sql, storeId: string): Promise<Verification[]> {
  const namespaces = await sql.all(
    "SELECT namespace, records, digest FROM namespaces WHERE store_id = $1 ORDER BY namespace",
    [storeId],
  );
  const verifications: Verification[] = [];
  for (const row of namespaces) {
    const namespace = String(row.namespace);
    const counted = await countContents(sql, storeId, namespace);
    const digest = formatDigest(BigInt(`0x${row.digest}`));
    const records = Number(row.records);
    verifications.push({
      namespace,
      records,
      digest,
      counted_records: counted.records,
      counted_digest: counted.digest,
      in_sync: counted.records === records && counted.digest === digest,
    });
  }
  return verifications;
}

async function countContents(
  sql: Sql,
  storeId: string,
  namespace: string,
): Promise<{ records: number; digest: string }> {
  let records = 0;
  let sum = 0n;
  let after = "";
  for (;;) {
    const rows = await sql.all(
      `SELECT r.id, c.content FROM namespaces n
       JOIN records r ON r.store_id = n.store_id AND r.namespace = n.namespace
       JOIN contents c ON c.store_id = r.store_id AND c.version = r.version
       WHERE n.store_id = $1 AND n.namespace = $2 AND r.id > $3
         AND ${IS_CURRENT}
       ORDER BY r.id LIMIT ${PAGE_ROWS}`,
      [storeId, namespace, after],
    );
    for (const row of rows) {
      const text = hashedText(String(row.id), String(row.content));
      sum += BigInt(`0x${hash("sha256", text, "hex")}`);
    }
    records += rows.length;
    if (rows.length < PAGE_ROWS) return { records, digest: formatDigest(sum) };
    after = String(rows.at(-1)!.id);
  }
}
