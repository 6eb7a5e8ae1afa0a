import assert from "node:assert/strict";
import type { SqlRow, Storage } from "../../src/storage/port.ts";

/** A record in the ledger's tables. */
export interface StoredRecord {
  namespace: string;
  id: string;
  content: unknown;
  version: number;
}

/** The rows of one store, read from the tables in one snapshot. */
interface LedgerRows {
  namespaces: SqlRow[];
  records: SqlRow[];
  contents: SqlRow[];
  queue: SqlRow[];
}

async function readRows(storage: Storage, storeId: string): Promise<LedgerRows> {
  return storage.read(async (sql) => ({
    namespaces: await sql.all(
      "SELECT * FROM (SELECT namespace, records, digest FROM namespaces WHERE store_id = $1) n",
      [storeId],
    ),
    records: await sql.all(
      `SELECT r.namespace, r.id, r.version, r.hash, r.indexed,
         CASE WHEN n.generation IN (r.generation, r.carried_in, r.also_carried_in) OR r.decided_at > n.refreshed_at
           THEN 1 ELSE 0 END AS visible
       FROM records r LEFT JOIN namespaces n ON n.store_id = r.store_id AND n.namespace = r.namespace
       WHERE r.store_id = $1`,
      [storeId],
    ),
    contents: await sql.all("SELECT version, content FROM contents WHERE store_id = $1", [storeId]),
    queue: await sql.all("SELECT version FROM index_queue WHERE store_id = $1", [storeId]),
  }));
}

/**
 * Reads every record that exists, and checks the invariants that hold after every sync.
 * @param swept also checks the invariants that hold after all sweeping
 */
export async function readRecords(
  storage: Storage,
  storeId: string,
  { swept = false } = {},
): Promise<StoredRecord[]> {
  const { namespaces, records, contents, queue } = await readRows(storage, storeId);
  const contentOf = new Map(contents.map(({ version, content }) => [version, String(content)]));
  const visible = records.filter((row) => row.visible);
  const live = visible.filter((row) => row.version !== null);

  const keys = visible.map(({ namespace, id }) => JSON.stringify([namespace, id]));
  assert.equal(new Set(keys).size, keys.length, "a record has at most one current row");

  for (const { namespace, records: count, digest } of namespaces) {
    const own = live.filter((row) => row.namespace === namespace);
    assert.equal(count, own.length, `${namespace}: records`);
    const sum = own.reduce((total, { hash }) => total + BigInt(`0x${hash}`), 0n);
    assert.equal(digest, BigInt.asUintN(256, sum).toString(16), `${namespace}: digest`);
  }

  const queued = new Set(queue.map(({ version }) => version));
  const stored = live.map(({ namespace, id, version, indexed }) => {
    assert.ok(contentOf.has(version!), `${namespace} ${id}: a live record has its content`);
    const isKnown = indexed === version || queued.has(version!);
    assert.ok(isKnown, `${namespace} ${id}: its content is in the index, or queued for it`);
    return {
      namespace: String(namespace),
      id: String(id),
      content: JSON.parse(contentOf.get(version!)!) as unknown,
      version: Number(version),
    };
  });

  if (swept) {
    assert.equal(records.length, visible.length, "no row is left that nobody sees");
    assert.equal(contents.length, live.length, "no content is left that no record has");
  }
  return stored;
}
