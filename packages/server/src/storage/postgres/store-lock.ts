import { ApiError } from "@tidemark/protocol/errors";

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

  /**
   * Runs `work` after the store's earlier work.
   * @throws ApiError SERVICE_UNAVAILABLE if it waited too long
   */
  async run<T>(storeId: string, work: () => Promise<T>): Promise<T> {
    const queuedAt = Date.now();
    const earlier = this.#last.get(storeId) ?? Promise.resolve();
    const result = earlier.then(() => {
      // Earlier syncs already waited for the database as long as they may, so this one would fail too.
      if (Date.now() - queuedAt > this.#timeoutMs) {
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
