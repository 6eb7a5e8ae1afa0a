import { ApiError } from "@tidemark/protocol/errors";
import type { Transaction } from "./connections.ts";

/**
 * Takes the store lock, as the first statement of each transaction that changes a store's ledger. Until the transaction
 * ends, the store's other syncs wait here, in every process, and then read what this one committed. So each store has
 * one order of syncs, and its revisions have no gaps.
 * @returns the store's revision
 */
export async function lockStore(tx: Transaction, storeId: string): Promise<number> {
  const lock = "SELECT revision FROM store_revisions WHERE store_id = $1 FOR UPDATE";
  const [row] = await tx.rows<[number]>(lock, [storeId]);
  if (row) return row[0];
  const [newRow] = await tx.rows<[number]>(
    `INSERT INTO store_revisions AS s (store_id, revision) VALUES ($1, 0)
     ON CONFLICT (store_id) DO UPDATE SET revision = s.revision RETURNING revision`,
    [storeId],
  );
  return newRow![0];
}

/**
 * Queues the syncs of each store within this process before they take a connection, so that a store with many
 * concurrent syncs holds only one connection.
 */
export class StoreQueues {
  #timeoutMs: number;
  #last = new Map<string, Promise<unknown>>();

  /** @param timeoutMs how long a sync may wait in the queue */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Runs `work` after all that this store was given before. @throws ApiError SERVICE_UNAVAILABLE after the timeout */
  async run<T>(storeId: string, work: () => Promise<T>): Promise<T> {
    const askedAt = Date.now();
    const earlier = this.#last.get(storeId) ?? Promise.resolve();
    const result = earlier.then(() => {
      // Earlier syncs already waited for the database as long as they may, so this one would fail too.
      if (Date.now() - askedAt > this.#timeoutMs) {
        throw new ApiError("SERVICE_UNAVAILABLE", { outcome: "not_applied" });
      }
      return work();
    });
    const settled = result.catch(() => {});
    this.#last.set(storeId, settled);
    try {
      return await result;
    } finally {
      if (this.#last.get(storeId) === settled) this.#last.delete(storeId);
    }
  }
}
