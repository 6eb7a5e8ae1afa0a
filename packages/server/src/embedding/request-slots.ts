import { EmbedderUnavailable } from "./embedder.ts";

/** Runs a limited number of requests in parallel; the others wait in the order of their arrival. */
export class RequestSlots {
  #free: number;
  #waitingMax: number;
  #waiting = new Set<() => void>();

  /**
   * @param count requests that may run in parallel
   * @param waitingMax requests that may wait
   */
  constructor(count: number, waitingMax: number) {
    this.#free = count;
    this.#waitingMax = waitingMax;
  }

  /**
   * Waits for a slot and does the work in it.
   * @throws EmbedderUnavailable if too many requests wait already; the signal's reason if it is aborted during the wait
   */
  async run<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    signal?.throwIfAborted();
    if (this.#free > 0) this.#free--;
    else await this.#wait(signal);
    try {
      return await work();
    } finally {
      this.#give();
    }
  }

  #wait(signal?: AbortSignal): Promise<void> {
    if (this.#waiting.size >= this.#waitingMax) {
      throw new EmbedderUnavailable("Too many requests wait for the embeddings endpoint.");
    }
    return new Promise((resolve, reject) => {
      const abort = () => {
        this.#waiting.delete(proceed);
        reject(signal?.reason);
      };
      const proceed = () => {
        this.#waiting.delete(proceed);
        signal?.removeEventListener("abort", abort);
        resolve();
      };
      this.#waiting.add(proceed);
      signal?.addEventListener("abort", abort);
    });
  }

  /** Gives a slot to the request that has waited longest. */
  #give(): void {
    const [next] = this.#waiting;
    if (next) next();
    else this.#free++;
  }
}
