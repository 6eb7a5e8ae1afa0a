import { ApiError } from "@tidemark/protocol/errors";

/**
 * Lets the syncs of a store go one after the other within this process, before they ask for a connection: a store
 * with many syncs under way holds one connection, and leaves the others to other stores.
 */
export class Turns {
  #timeoutMs: number;
  #last = new Map<string, Promise<unknown>>();

  /** @param timeoutMs how long one waits for its turn */
  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs;
  }

  /** @throws ApiError SERVICE_UNAVAILABLE if the turn does not come in time */
  async take<T>(storeId: string, work: () => Promise<T>): Promise<T> {
    const askedAt = Date.now();
    const earlier = this.#last.get(storeId) ?? Promise.resolve();
    const mine = earlier.then(() => {
      // Those in front waited for the database as long as they may: one more would not be served either.
      if (Date.now() - askedAt > this.#timeoutMs) {
        throw new ApiError("SERVICE_UNAVAILABLE", { outcome: "not_applied" });
      }
      return work();
    });
    const settled = mine.catch(() => {});
    this.#last.set(storeId, settled);
    try {
      return await mine;
    } finally {
      if (this.#last.get(storeId) === settled) this.#last.delete(storeId);
    }
  }
}
