import { ApiError } from "@tidemark/protocol/errors";
import type { Transaction } from "./connections.ts";

/**
 * Takes the store lock: until the transaction ends, every other sync of the store waits here, in whichever process, and
 * then reads what this one left. So each store has one order of syncs, and its revisions have no gaps. Other stores do
 * not wait. The first statement of each transaction that changes a store's ledger.
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
 * Lets the syncs of a store wait for each other within this process, before they ask for a connection: a store with
 * many syncs under way holds one connection, and leaves the others to other stores.
 */
export class StoreQueues {
  #timeoutMs: number;
  #last = new Map<string, Promise<unknown>>();

  /** @param timeoutMs how long a sync waits for those before it */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** Runs `work` after all that this store was given before. @throws ApiError SERVICE_UNAVAILABLE after the timeout */
  async run<T>(storeId: string, work: () => Promise<T>): Promise<T> {
    const askedAt = Date.now();
    const earlier = this.#last.get(storeId) ?? Promise.resolve();
    const result = earlier.then(() => {
      // Those in front waited for the database as long as they may: one more would not be served either.
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
